"""The pages in one process with a store in a directory of the test, without sockets."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import Message as AsgiMessage

from sendryd.model.account import Branding
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event
from sendryd.model.ids import DeliveryId
from sendryd.model.message import Message
from sendryd.policy.tracking import mint_click, mint_open, mint_share, mint_unsubscribe
from sendryd.runtime.answers import Answers
from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.fence import Fence
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import EventFilter, Lease, Outcome, Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.http import Answer, http_scope
from sendryd.testing.samples import ACCOUNT, OWNER, Samples
from sendryd.testing.stores import open_new_store
from sendryd.tracking.app import TrackingDependencies, routes
from sendryd.tracking.recorder import Recorder

PUBLIC_URL = "https://mail.example.test"
SECRET = b"the installation's own secret..."
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"


class TrackingWorld:
    """The routes on a store with one message to one recipient, delivered an hour ago."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.samples = Samples(self.clock.now())
        self.recorder = Recorder(store, clock=self.clock, ids=IdSource(self.clock, SeededRand(1)))
        self.budget = ContentBudget()
        self.answers = Answers(self.budget.showing, self.budget.page_files, self.budget.turns, Path(tempfile.gettempdir()))
        self.fence = Fence("previews", SystemClock())
        self.app = Starlette(
            routes=routes(
                TrackingDependencies(
                    public_url=PUBLIC_URL,
                    store=store,
                    recorder=self.recorder,
                    clock=self.clock,
                    secret=SECRET,
                    answers=self.answers,
                    fence=self.fence,
                )
            ),
        )
        self.message: Message
        self.delivery_id = DeliveryId(0)

    async def add_message(self, *, mode: KeyMode = KeyMode.LIVE, recipient: str = "Bob@example.org", **more: Any) -> DeliveryId:
        """Stores a message, under way if it is live."""
        now = self.clock.now()
        lease = Lease(token=1, owner=OWNER) if mode is KeyMode.LIVE else None
        new = self.samples.message([recipient], mode=mode, created_at=now, lease=lease, **more)
        await self.store.accept(new)
        self.message, self.delivery_id = new.message, new.deliveries[0].id
        return self.delivery_id

    async def deliver(self, state: DeliveryState = DeliveryState.DELIVERED) -> None:
        """The receiving server answers now."""
        outcome = Outcome(delivery_id=self.delivery_id, state=state, due_at=None, reply="250 ok", events=())
        await self.store.record_attempt(Lease(token=1, owner=OWNER), [outcome], self.clock.now())

    async def set_branding(self, branding: Branding) -> None:
        account = await self.store.get_account(ACCOUNT)
        assert account is not None
        await self.store.set_account(account, name=account.name, settings=replace(account.settings, branding=branding))

    async def events(self, mode: KeyMode = KeyMode.LIVE) -> list[Event]:
        """What was recorded, oldest first, without how the message came and went."""
        await self.recorder.flush()
        found = await self.store.list_events(ACCOUNT, EventFilter(mode=mode), limit=100_000)
        return [event for event in reversed(found.items) if event.type.value in {"opened", "clicked", "unsubscribed"}]

    @property
    def open(self) -> str:
        return "/o/" + mint_open(SECRET, self.delivery_id)

    def click(self, url: str) -> str:
        return "/c/" + mint_click(SECRET, self.delivery_id, url)

    def unsubscribe(self, list_id: str | None = None, address: str = "Bob@example.org") -> str:
        return "/u/" + mint_unsubscribe(SECRET, self.delivery_id, account_id=ACCOUNT, address=address, list_id=list_id)

    def share(self, lifetime: timedelta = timedelta(hours=48)) -> str:
        return "/s/" + mint_share(SECRET, self.message.id, account_id=ACCOUNT, expires_at=self.clock.now() + lifetime)

    async def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (("user-agent", CHROME),),
        body: bytes = b"",
        *,
        is_cut_off: bool = False,
    ) -> Answer:
        """Any request. Its body comes a kilobyte at a time; if it is cut off, the client then goes away."""
        scope = http_scope(method, target, headers, client="192.0.2.7")
        pieces = [body[start : start + 1024] for start in range(0, len(body), 1024)] or [b""]
        incoming: list[AsgiMessage] = [
            {"type": "http.request", "body": piece, "more_body": is_cut_off or number < len(pieces)}
            for number, piece in enumerate(pieces, 1)
        ]
        incoming += [{"type": "http.disconnect"}]
        sent: list[AsgiMessage] = []

        async def receive() -> AsgiMessage:
            return incoming.pop(0)

        async def send(message: AsgiMessage) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        answer = b"".join(message.get("body", b"") for message in sent[1:])
        names = [name.decode().lower() for name, _ in sent[0]["headers"]]
        assert len(names) == len(set(names))
        return Answer(sent[0]["status"], {name.decode().lower(): value.decode("ascii") for name, value in sent[0]["headers"]}, answer)

    async def get(self, target: str) -> Answer:
        """A GET by a browser."""
        return await self.request("GET", target)

    async def post(self, target: str, body: bytes, content_type: str = "application/x-www-form-urlencoded") -> Answer:
        """A form."""
        return await self.request("POST", target, [("user-agent", CHROME), ("content-type", content_type)], body)


@pytest.fixture
async def tracking(tmp_path: Path) -> AsyncIterator[TrackingWorld]:
    store = open_new_store(tmp_path)
    world = TrackingWorld(store)
    await store.ensure_account(ACCOUNT, "default", world.clock.now())
    await world.add_message()
    await world.deliver()
    world.clock.advance(timedelta(hours=1))
    yield world
    world.fence.close()
    await store.aclose()
