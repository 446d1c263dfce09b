"""Finding messages by words, addresses and tags."""

from dataclasses import dataclass
from typing import Protocol

from sendryd.model.ids import AccountId, MessageId
from sendryd.model.message import MessageSummary
from sendryd.store.base.reading import MessageFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """How much of the mail the search index has."""

    percent: int = 100  # of the messages that there were when it was begun
    misses: bool = False  # a search for terms has not seen some messages

    @property
    def is_rebuilding(self) -> bool:
        """Whether it is being filled for the first time, or after it was lost."""
        return self.percent < 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Messages that were found, newest first."""

    items: tuple[MessageSummary, ...]
    has_more: bool
    last: MessageId | None = None  # the last one that was looked at, if the search ended before the page was full
    index: IndexState = IndexState()


class SearchStore(Protocol):
    """Searches of the dashboard."""

    async def search_messages(self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None) -> Hits:
        """Messages older than `before`, newest first. Looks at a bounded number of messages, and finds what the index has if it is not whole.

        `list_messages` with the same filter looks at all of them, and raises `StoreUnavailable` while the index is not whole.
        """
        ...
