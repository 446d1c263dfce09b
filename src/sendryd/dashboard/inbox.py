"""The mails of a view of the Test Inbox: those of a key that match the words of a search, and those that clearing the view deletes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sendryd.dashboard.glances import Glance
from sendryd.dashboard.readers import may_read
from sendryd.dashboard.visit import Visit
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import MESSAGE_PREFIX, TEST_MESSAGE_PREFIX, ApiKeyId, MessageId, format_id
from sendryd.model.message import Message, MessageSummary
from sendryd.store.base import MessageFilter

SHOWN: Final = 50  # rows of a page
BATCH: Final = 100  # mails that a search reads at once
LOOKED_AT: Final = 500  # mails that a search reads for one page: the reader asks for more
MAX_CLEARED: Final = 10_000  # mails that are cleared at once: some ten seconds
MAX_SEARCHED: Final = 2_000  # mails among which a search finds those to clear: their contents are read
KEEP_TAG: Final = "keep"  # mail with it stays when a view is cleared


@dataclass(frozen=True, slots=True)
class View:
    """What is listed."""

    key_id: ApiKeyId | None = None  # None: of all test keys
    words: tuple[str, ...] = ()  # in lower case; each is somewhere in the header, the subject or an address

    @property
    def filter(self) -> MessageFilter:
        """The mails that the store lists; words are looked for here."""
        return MessageFilter(mode=KeyMode.TEST, api_key_id=self.key_id, has_gone=True)

    def matches(self, message: Message, glance: Glance | None) -> bool:
        """Whether a mail has all words."""
        if not self.words:
            return True
        ids = (format_id(prefix, message.id) for prefix in (TEST_MESSAGE_PREFIX, MESSAGE_PREFIX))
        text = "\n".join([message.subject, message.author, *message.to, *message.cc, *ids]).lower()
        return all(word in text or (glance is not None and word in glance.words) for word in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of mails, newest first."""

    items: tuple[MessageSummary, ...]
    glances: Mapping[MessageId, Glance | None]  # without mails whose turn has not come
    next: MessageId | None = None  # older ones come before it
    looked_back_to: datetime | None = None  # the search stopped there, before the page was full


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """What clearing a view deletes."""

    message_ids: tuple[MessageId, ...]
    kept: int = 0  # mails with the tag that spares them
    is_cut: bool = False  # older mails of the view are not among them


async def find(visit: Visit, view: View, before: MessageId | None) -> Found:
    """A page of the view."""
    found: list[MessageSummary] = []
    glances: dict[MessageId, Glance | None] = {}
    looked_at, is_reader = 0, await may_read(visit)
    while True:
        page = await visit.needs.store.list_messages(visit.account_id, view.filter, limit=BATCH if view.words else SHOWN, before=before)
        messages = [each.message for each in page.items]
        seen = await visit.needs.glances.of(messages) if is_reader else dict.fromkeys(each.id for each in messages)
        glances |= seen
        # A search goes no further than contents were read; a list shows what it knows.
        looked = [each for each in page.items if not view.words or each.message.id in seen]
        found += [each for each in looked if view.matches(each.message, seen.get(each.message.id))]
        looked_at += len(looked)
        before = looked[-1].message.id if looked else before
        if len(found) > SHOWN:
            return Found(items=tuple(found[:SHOWN]), glances=glances, next=found[SHOWN - 1].message.id)
        is_behind = len(looked) < len(page.items)
        if not page.has_more and not is_behind:
            return Found(items=tuple(found), glances=glances)
        if not view.words:
            return Found(items=tuple(found), glances=glances, next=before)
        if is_behind or looked_at >= LOOKED_AT:
            return Found(items=tuple(found), glances=glances, next=before, looked_back_to=_last(looked, page.items).message.created_at)


def _last(looked: list[MessageSummary], items: tuple[MessageSummary, ...]) -> MessageSummary:
    return looked[-1] if looked else items[0]


async def choose(visit: Visit, view: View, newest: MessageId) -> Clearing:
    """What clearing the view deletes: its mails up to the newest one that the reader has seen."""
    chosen: list[MessageId] = []
    kept = looked_at = 0
    before = MessageId(newest + 1)
    while looked_at < (MAX_SEARCHED if view.words else MAX_CLEARED):
        page = await visit.needs.store.list_messages(visit.account_id, view.filter, limit=BATCH, before=before)
        seen = await visit.needs.glances.of([each.message for each in page.items]) if view.words else {}
        looked = [each.message for each in page.items if not view.words or each.message.id in seen]
        matching = [each for each in looked if view.matches(each, seen.get(each.id))]
        spared = {each.id for each in matching if any(name == KEEP_TAG for name, _ in each.tags)}
        chosen += [each.id for each in matching if each.id not in spared]
        kept += len(spared)
        looked_at += len(looked)
        if not page.has_more and len(looked) == len(page.items):
            return Clearing(message_ids=tuple(chosen), kept=kept)
        if not looked:
            break
        before = looked[-1].id
    return Clearing(message_ids=tuple(chosen), kept=kept, is_cut=True)
