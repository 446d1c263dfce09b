"""The REST API in one process with a store, without sockets: an ASGI client, with keys and messages in the store."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from pydantic import TypeAdapter
from starlette.types import Message as AsgiMessage

from sendryd.accounts.account import Accounts
from sendryd.accounts.api_keys import ApiKeys
from sendryd.accounts.audit import Audit
from sendryd.accounts.domains import Domains
from sendryd.accounts.factors import Factors
from sendryd.accounts.invitations import Invitations
from sendryd.accounts.people import People
from sendryd.accounts.scheduled_reports import ScheduledReports
from sendryd.accounts.signin import SignIn
from sendryd.accounts.suppressions import Suppressions
from sendryd.accounts.templates import Templates
from sendryd.accounts.webhooks import Webhooks
from sendryd.api.app import ApiDependencies, create_app, create_operations
from sendryd.api.framework.latency import LatencyBook
from sendryd.api.framework.operation import Operation
from sendryd.api.framework.ratelimits import RateLimits
from sendryd.api.framework.requestlog import RequestLog
from sendryd.api.framework.requests import Gate
from sendryd.api.framework.router import Match, Router
from sendryd.api.health import Health
from sendryd.api.system.uptime import DELIVERY, SMTP, StatusBook
from sendryd.intake.accept import Intake, IntakeSettings
from sendryd.intake.directory import Directory
from sendryd.intake.notices import Notice, Notices
from sendryd.intake.personal import Personaliser
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, DeliveryId, EventId, MessageId
from sendryd.model.message import Message
from sendryd.policy.dnsrecords import RecordSettings
from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.fence import Fences
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.passwords import Passwords
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import NewDelivery, NewEvent, NewMessage, Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.http import Answer, http_scope
from sendryd.testing.keys import take_key
from sendryd.testing.samples import ACCOUNT
from sendryd.testing.stores import open_copied_store, open_new_store
from sendryd.testing.zone import ZoneResolver

OTHER_ACCOUNT: Final = AccountId(2)
HOSTNAME: Final = "relay.example.test"
PUBLIC_URL: Final = "https://links.example.test"
LINK_SECRET: Final = b"secret of the links"
MAX_SIZE: Final = 4 * 1024 * 1024
CONTENT: Final = b"From: a@example.test\r\nTo: b@example.org\r\nSubject: Hello\r\n\r\nText\r\n"


@lru_cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


@dataclass(frozen=True, slots=True)
class _Shape:
    """The declared answers of an operation."""

    method: str
    path: str
    answer: Any


class ApiWorld:
    """The application on a store. The test moves `clock`; `zone` holds the DNS records."""

    _shapes: ClassVar[Router[_Shape] | None] = None  # shared by all worlds, because building it is slow

    def __init__(self, store: Store, *, limiter: RateLimits | None = None, seed: int = 1) -> None:
        self.store = store
        self.clock = ManualClock()
        self.rand = SeededRand(seed)
        self.ids = IdSource(self.clock, self.rand)
        self.directory = Directory(store, self.clock)
        self.keys = ApiKeys(store, clock=self.clock, rand=self.rand, ids=self.ids)
        self.zone = ZoneResolver()
        self.domains = Domains(
            store, self.zone, RecordSettings(HOSTNAME), selector="sendry", clock=self.clock, ids=self.ids, make_key=take_key
        )
        self.webhooks = Webhooks(store, clock=self.clock, ids=self.ids, rand=self.rand, allow_private=False)
        self.fences = Fences(SystemClock())
        self.templates = Templates(store, clock=self.clock, ids=self.ids, fences=self.fences)
        self.metrics = Metrics()
        self.budget = ContentBudget()
        self.health = Health(store, self._render_metrics, self.clock)
        self.mail_log = MailLog(self.clock)
        self.request_log = RequestLog(store, self.clock, self.ids)
        audit = Audit(store, clock=self.clock, ids=self.ids)
        factors = Factors(store, clock=self.clock, rand=self.rand, audit=audit)
        self.signin = SignIn(store, clock=self.clock, rand=self.rand, audit=audit, passwords=Passwords(), factors=factors)
        self.people = People(store, clock=self.clock, rand=self.rand, ids=self.ids, signin=self.signin, audit=audit)
        self.intake = Intake(
            store,
            self.directory,
            IntakeSettings(hostname=HOSTNAME),
            clock=self.clock,
            ids=self.ids,
            rand=self.rand,
            metrics=self.metrics,
            mail_log=self.mail_log,
            wakeup=Wakeup(),
            templates=self.templates,
        )
        self.notices = Notices(store, self.intake, rand=self.rand)
        self._needs = self._dependencies(limiter)
        self.app = create_app(self._needs)

    def _dependencies(self, limiter: RateLimits | None) -> ApiDependencies:
        gate = Gate(self.directory, self.clock, limiter, self.mail_log)
        return ApiDependencies(
            store=self.store,
            accounts=Accounts(self.store),
            domains=self.domains,
            keys=self.keys,
            lists=Suppressions(self.store, clock=self.clock, ids=self.ids),
            people=self.people,
            invitations=Invitations(self.people, self._post, public_url=PUBLIC_URL),
            scheduled_reports=ScheduledReports(self.store, clock=self.clock, ids=self.ids),
            webhooks=self.webhooks,
            gate=gate,
            health=self.health,
            clock=self.clock,
            rand=self.rand,
            request_log=self.request_log,
            latency=LatencyBook(self.clock),
            status=StatusBook(self.store, self.clock, [SMTP, DELIVERY]),
            intake=self.intake,
            templates=self.templates,
            fences=self.fences,
            personaliser=Personaliser(PUBLIC_URL, LINK_SECRET),
            ids=self.ids,
            max_size=MAX_SIZE,
            public_url=PUBLIC_URL,
            secret=LINK_SECRET,
            hostname=HOSTNAME,
            smtp_port=587,
            allow_private_networks=False,
            budget=self.budget,
            inbound_address=lambda _account_id: None,
            scratch_dir=Path(tempfile.gettempdir()),
        )

    @cached_property
    def operations(self) -> list[Operation]:
        """All declared operations."""
        return create_operations(self._needs)

    @classmethod
    @asynccontextmanager
    async def open(cls, data_dir: Path, make_store: Callable[[Path], Store] = open_new_store) -> AsyncIterator[Self]:
        """An API world on a new store, with two accounts."""
        world = cls(make_store(data_dir))
        for account in (ACCOUNT, OTHER_ACCOUNT):
            await world.store.ensure_account(account, f"account {account}", world.clock.now())
        try:
            yield world
        finally:
            await world.aclose()

    @classmethod
    @asynccontextmanager
    async def open_copy(cls, before: Path, data_dir: Path) -> AsyncIterator[Self]:
        """An API world on a copy of the data directory of a closed one, one second later: new ids differ from the old ones."""
        world = cls(open_copied_store(before, data_dir), seed=2)
        world.clock.advance(timedelta(seconds=1))
        try:
            yield world
        finally:
            await world.aclose()

    async def aclose(self) -> None:
        """Ends the processes and closes the store."""
        self.fences.close()
        await self.store.aclose()

    async def _post(self, account_id: AccountId, to: str, subject: str, text: str) -> bool:
        return await self.notices.send(account_id, Notice(author="sendryd", to=to, subject=subject, text=text))

    async def _render_metrics(self) -> bytes:
        return self.metrics.render()

    async def get(self, target: str, secret: str | None = None) -> Answer:
        """A GET with a key."""
        return await self.request("GET", target, [("authorization", f"Bearer {secret}")] if secret is not None else [])

    async def send(self, method: str, target: str, secret: str, body: object = None) -> Answer:
        """A request with a key and, unless it is None, a JSON body."""
        data = b"" if body is None else json.dumps(body).encode()
        return await self.request(method, target, [("authorization", f"Bearer {secret}"), ("content-type", "application/json")], data)

    async def request(self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> Answer:
        """Any request. Header values are encoded as Latin-1."""
        host = [] if any(name == "host" for name, _ in headers) else [("host", "relay")]
        scope = http_scope(method, target, [*host, *headers])
        path = target.partition("?")[0]
        sent: list[AsgiMessage] = []

        waiting: list[AsgiMessage] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> AsgiMessage:
            return waiting.pop() if waiting else await asyncio.Future()  # the client stays connected

        async def send(message: AsgiMessage) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        answer = b"".join(message.get("body", b"") for message in sent[1:])
        received = Answer(sent[0]["status"], {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}, answer)
        self._check_shape(method, path, received)
        return received

    def _check_shape(self, method: str, path: str, answer: Answer) -> None:
        """Checks an answer against the operation's declaration. Raises `ValidationError`."""
        if ApiWorld._shapes is None:
            ApiWorld._shapes = Router([_Shape(each.method, each.path, each.answer) for each in self.operations])
        found = ApiWorld._shapes.find(method, path)
        is_json = answer.headers.get("content-type") == "application/json"
        if isinstance(found, Match) and answer.status == 200 and is_json and method != "HEAD" and found.target.answer is not None:
            _adapter(found.target.answer).validate_python(answer.json, strict=True)

    async def add_message(
        self, key: ApiKey, *, subject: str = "Hello", recipients: Sequence[str] = ("b@example.org",), content: bytes = CONTENT
    ) -> MessageId:
        """Stores a message a second after the one before: captured for a test key, queued for a live one."""
        self.clock.advance(timedelta(seconds=1))
        now = self.clock.now()
        is_test = key.mode is KeyMode.TEST
        message = Message(
            id=MessageId(self.ids.next()),
            account_id=key.account_id,
            api_key_id=key.id,
            mode=key.mode,
            reverse_path="a@example.test",
            author="A <a@example.test>",
            to=tuple(recipients),
            cc=(),
            subject=subject,
            internet_message_id="<1@example.test>",
            size=len(content),
            created_at=now,
            signing_domain_id=None,
            needs_smtputf8=False,
            is_8bit=False,
        )
        words = (EventType.QUEUED, EventType.SENT, EventType.DELIVERED) if is_test else (EventType.QUEUED,)
        deliveries = tuple(
            NewDelivery(
                id=DeliveryId(self.ids.next()),
                forward_path=recipient,
                domain=recipient.rpartition("@")[2],
                state=DeliveryState.DELIVERED if is_test else DeliveryState.QUEUED,
                due_at=now,
                events=tuple(NewEvent(id=EventId(self.ids.next()), type=word) for word in words),
            )
            for recipient in recipients
        )
        await self.store.accept(NewMessage(message=message, content=content, deliveries=deliveries))
        return message.id
