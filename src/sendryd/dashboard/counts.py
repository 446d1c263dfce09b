"""The figures beside the places in the side: how many mails wait, how many things of a place need somebody, which test mails are new."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sendryd.accounts.attention import Attention, Seen, View
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import API_KEY_PREFIX, TEST_MESSAGE_PREFIX, format_id
from sendryd.model.message import Message
from sendryd.policy.attention import Kind
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import MessageFilter, Store
from sendryd.store.errors import StoreError

MAX_AGE: Final = 3.0  # seconds: every page and each live page asks
MOST_VIEWS: Final = 1_000  # whose figures are kept; the oldest go
MOST_NEW: Final = 30  # test mails that are named on each page, in about 20 octets each; of more it says "30+"
_PATHS: Final = {Kind.DOMAIN: "/domains", Kind.HEALTH: "/health", Kind.WEBHOOK: "/webhooks", Kind.KEY: "/keys"}

log = get_logger("dashboard")


@dataclass(frozen=True, slots=True)
class Count:
    """A figure beside a place."""

    text: str
    words: str  # what it counts, for those who hear the page
    needs_you: bool = False
    mails: str = ""  # the newest test mails by key: the browser knows which of them it has read, and makes the figure


class Counts:
    """Keeps the figures for a few seconds."""

    def __init__(self, attention: Attention, store: Store, clock: Clock) -> None:
        self._attention = attention
        self._store = store
        self._clock = clock
        self._kept: dict[View, tuple[float, Mapping[str, Count]]] = {}
        self._lock = asyncio.Lock()

    async def of(self, view: View) -> Mapping[str, Count]:
        """The figures by the path of their place. Those that cannot be read are left out: the page tells why in its own words."""
        async with self._lock:
            at, found = self._kept.get(view, (float("-inf"), {}))
            if self._clock.monotonic() - at >= MAX_AGE:
                try:
                    found = {**count(await self._attention.look(view, self._clock.now())), **await self._new_mails(view)}
                except StoreError as error:
                    log.error("counts_failed", exc_info=error)
                    found = {}
                self._kept.pop(view, None)
                self._kept[view] = (self._clock.monotonic(), found)
                while len(self._kept) > MOST_VIEWS:
                    self._kept.pop(next(iter(self._kept)))
            return found

    async def _new_mails(self, view: View) -> Mapping[str, Count]:
        found = await self._store.list_messages(view.account_id, MessageFilter(mode=KeyMode.TEST), limit=MOST_NEW)
        mails = name_mails(each.message for each in found.items)
        return {"/test": Count(f"{MOST_NEW}+", "new", mails=mails)} if mails else {}


def name_mails(messages: Iterable[Message]) -> str:
    """`key_… te_… te_…|key_… te_…`: test mails by the key that sent them."""
    found: dict[str, list[str]] = {}
    for each in messages:
        key = format_id(API_KEY_PREFIX, each.api_key_id) if each.api_key_id is not None else ""
        found.setdefault(key, [key]).append(format_id(TEST_MESSAGE_PREFIX, each.id))
    return "|".join(" ".join(names) for names in found.values())


def count(seen: Seen) -> Mapping[str, Count]:
    """The figures of a state."""
    found = {}
    waiting = sum(each.queued for each in seen.destinations)
    if waiting:
        found["/queue"] = Count(f"{waiting:,}", "waiting")
    for kind, path in _PATHS.items():
        number = sum(1 for each in seen.things if each.kind is kind)
        if number:
            found[path] = Count(f"{number:,}", "to look at", needs_you=True)
    return found
