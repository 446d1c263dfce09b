"""All messages that a search finds, some at a time, for what is done to all of them: exports, and changes of many deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sendryd.accounts.bulk import FoundMessages
from sendryd.dashboard.query import Search, make_search, parse_query
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.bulk import STATES_OF, BulkChange, BulkJob
from sendryd.model.delivery import DONE_STATES
from sendryd.model.ids import API_KEY_PREFIX, AccountId, ApiKeyId, MessageId, format_id
from sendryd.model.message import MessageSummary
from sendryd.store.base import Store
from sendryd.store.codec.values import first_id

BATCH: Final = 250  # messages read at once: some milliseconds of a search thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Some of the messages that match, newest first."""

    found: tuple[MessageSummary, ...]
    looked_at: int
    next: MessageId | None  # the next ones are below it; None: these were the last


def names_of(keys: Sequence[ApiKey]) -> dict[str, ApiKeyId]:
    """The API keys by what searches call them: the name in lower case, the public id."""
    return {name: key.id for key in reversed(keys) for name in (key.name.lower(), format_id(API_KEY_PREFIX, key.id))}


async def make_live_search(store: Store, account_id: AccountId, text: str, now: datetime) -> Search:
    """The search of a text among live mail."""
    keys = await store.list_api_keys(account_id)
    return make_search(parse_query(text), mode=KeyMode.LIVE, keys=names_of(keys), now=now)


async def read_matching(store: Store, account_id: AccountId, search: Search, *, before: MessageId | None, batch: int = BATCH) -> Matching:
    """The next messages below an id."""
    if search.before is not None:
        limit = first_id(search.before)
        before = MessageId(limit if before is None else min(before, limit))
    page = await store.list_messages(account_id, search.filter, limit=batch, before=before)
    return Matching(
        found=tuple(each for each in page.items if search.matches(each)),
        looked_at=len(page.items),
        next=page.items[-1].message.id if page.has_more else None,
    )


class MailFinder:
    """Finds the messages of a job: `FindMessages`."""

    def __init__(self, store: Store, *, batch: int = BATCH) -> None:
        self._store = store
        self._batch = batch

    async def __call__(self, job: BulkJob, before: MessageId) -> FoundMessages:
        """The next messages of a job's search below an id. Messages that have nothing to change are passed over by the store."""
        search = await make_live_search(self._store, job.account_id, job.selection.query or "", job.created_at)
        states = STATES_OF[job.change]
        if not states & DONE_STATES and search.filter.states is None and job.change is not BulkChange.SUPPRESS:
            search = replace(search, filter=replace(search.filter, states=states))
        page = await read_matching(self._store, job.account_id, search, before=before, batch=self._batch)
        return FoundMessages([each.message.id for each in page.found], page.looked_at, page.next)
