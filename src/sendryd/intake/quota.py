"""How many messages a key, or an account, may have accepted in a stretch of time.

Counted in fixed stretches that begin at multiples of their length, so that they are the same for every process; what was accepted before this
process started is counted from the store, once for each stretch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, ApiKeyId
from sendryd.model.message import Message
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.store.base import AcceptStore

_KEY: Final = "this key"
_ACCOUNT: Final = "this account"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Test mail has a count of its own: a test key must not use up what live mail may have.
Owner = tuple[AccountId, ApiKeyId | None, KeyMode]


@dataclass(frozen=True, slots=True)
class Quota:
    """So many messages in so long."""

    count: int
    period: timedelta


class Quotas:
    """One quota for each key, one for each account; either may be absent."""

    def __init__(self, store: AcceptStore, clock: Clock, *, of_key: Quota | None, of_account: Quota | None) -> None:
        self._store = store
        self._clock = clock
        self._of_key = of_key
        self._of_account = of_account
        self._counts: dict[Owner, tuple[datetime, int]] = {}  # since when, and how many

    async def take(self, messages: Sequence[Message]) -> Refusal | None:
        """Counts messages of one key, all of them unless that is too many. What is not accepted after all is given back.

        Raises `StoreUnavailable`.
        """
        if not messages:
            return None
        account_id, key_id, mode = messages[0].account_id, messages[0].api_key_id, messages[0].mode
        limits = ((self._of_key, key_id, _KEY), (self._of_account, None, _ACCOUNT))
        wanted = [(quota, (account_id, owner, mode), word) for quota, owner, word in limits if quota is not None]
        for quota, owner, _ in wanted:
            await self._load(owner, quota)
        # From here on nothing is waited for, so of several at the same time none sees the count that another was let in by.
        for quota, owner, word in wanted:
            if self._counts[owner][1] + len(messages) > quota.count:
                return Refusal(RefusalKey.QUOTA_REACHED, word)
        for _, owner, _ in wanted:
            self._add(owner, len(messages))
        return None

    def retry_after(self, refusal: Refusal) -> int:
        """Whole seconds until the stretch begins anew whose quota is used up."""
        quota = self._of_key if refusal.detail == _KEY else self._of_account
        if quota is None:
            return 1
        now = self._clock.now()
        return max(1, math.ceil((_start(now, quota) + quota.period - now).total_seconds()))

    def give_back(self, messages: Sequence[Message]) -> None:
        """Counts no more what was not accepted."""
        for message in messages:
            for key_id in (message.api_key_id, None):
                self._add((message.account_id, key_id, message.mode), -1)

    def _add(self, owner: Owner, change: int) -> None:
        if owner in self._counts:
            start, number = self._counts[owner]
            self._counts[owner] = (start, max(0, number + change))

    async def _load(self, owner: Owner, quota: Quota) -> None:
        start = _start(self._clock.now(), quota)
        if self._is_of(owner, start):
            return
        number = await self._store.count_accepted(*owner, start)
        if not self._is_of(owner, start):  # nor has another task loaded it meanwhile, and counted on
            self._counts[owner] = (start, number)

    def _is_of(self, owner: Owner, start: datetime) -> bool:
        known = self._counts.get(owner)
        return known is not None and known[0] == start


def _start(now: datetime, quota: Quota) -> datetime:
    return now - (now - _EPOCH) % quota.period
