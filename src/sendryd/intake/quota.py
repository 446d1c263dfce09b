"""Sending quotas: how many messages a key or an account may send in a period.

Periods are fixed and begin at multiples of their length, by settled time. The period of the start counts the messages in the store too. A period
ends when its length has passed by the monotonic clock, or earlier if settled time leaves it. So setting the clock back neither blocks a sender nor
resets a count, and periods that pass a second time begin with a count of zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, ApiKeyId
from sendryd.model.message import Message
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.store.base import AcceptStore

KEY_WORD: Final = "this key"
ACCOUNT_WORD: Final = "this account"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Test mail is counted separately: a test key must not use up the quota of live mail.
Owner = tuple[AccountId, ApiKeyId | None, KeyMode]  # without a key: the whole account


@dataclass(slots=True)
class _Stretch:
    """One owner's period: its end and the messages counted in it."""

    end: datetime
    ends_at: float  # monotonic seconds
    count: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A number of messages in a period."""

    count: int
    period: timedelta


class QuotaLedger(Protocol):
    """Counts what keys and accounts have accepted, against their quotas.

    In a cluster: nodes must count together, as `intake.sharedquota` does.
    A node that counted alone would let each account have its quota once for each node.
    """

    async def take(self, messages: Sequence[Message]) -> Refusal | None:
        """Count messages of one actor, all or none of them; the refusal if that is too many. Raises `StoreUnavailable`.

        Messages that are not accepted in the end are given back.
        """
        ...

    def retry_after(self, refusal: Refusal) -> int:
        """Whole seconds until the stretch ends whose quota the refusal names; at least 1."""
        ...

    def give_back(self, messages: Sequence[Message]) -> None:
        """Uncount messages that were counted and not accepted."""
        ...


class Quotas:
    """The ledger of one process: one quota for each key, one for each account; either may be absent."""

    def __init__(self, store: AcceptStore, clock: Clock, *, of_key: Quota | None, of_account: Quota | None) -> None:
        self._store = store
        self._clock = clock
        self._of_key = of_key
        self._of_account = of_account
        self._stretches: dict[Owner, _Stretch] = {}
        self._refused_until: dict[str, float] = {}  # by word: end of the period whose quota was used up last
        self._started = clock.settled()

    async def take(self, messages: Sequence[Message]) -> Refusal | None:
        """Counts messages of one actor: all, or none if a quota would be exceeded, which the refusal says. `give_back` uncounts them.

        Raises `StoreUnavailable`.
        """
        if not messages:
            return None
        account_id, key_id, mode = messages[0].account_id, messages[0].api_key_id, messages[0].mode
        limits = ((self._of_key, key_id, KEY_WORD), (self._of_account, None, ACCOUNT_WORD))
        wanted = [
            (quota, (account_id, owner, mode), word)
            for quota, owner, word in limits
            if quota is not None and (owner is not None or word is ACCOUNT_WORD)  # mail of the system counts for the account alone
        ]
        for quota, owner, _ in wanted:
            await self._load(owner, quota)
        # No await from here on, so concurrent requests cannot pass by the same count.
        for quota, owner, word in wanted:
            if self._stretches[owner].count + len(messages) > quota.count:
                self._refused_until[word] = self._stretches[owner].ends_at
                return Refusal(RefusalKey.QUOTA_REACHED, word)
        for _, owner, _ in wanted:
            self._add(owner, len(messages))
        return None

    def retry_after(self, refusal: Refusal) -> int:
        """Whole seconds until the used-up quota's next period."""
        wait = self._refused_until.get(refusal.detail, 0.0) - self._clock.monotonic()
        return max(1, math.ceil(wait))

    def give_back(self, messages: Sequence[Message]) -> None:
        """Uncounts messages that were not accepted."""
        for message in messages:
            for key_id in {message.api_key_id, None}:
                self._add((message.account_id, key_id, message.mode), -1)

    def _add(self, owner: Owner, change: int) -> None:
        if owner in self._stretches:
            stretch = self._stretches[owner]
            stretch.count = max(0, stretch.count + change)

    async def _load(self, owner: Owner, quota: Quota) -> None:
        """Starts the owner's present period if it has not begun."""
        before = self._stretches.get(owner)
        now, monotonic = self._clock.settled(), self._clock.monotonic()
        if before is not None and monotonic < before.ends_at and now < before.end:
            return
        start = now - (now - _EPOCH) % quota.period
        end = start + quota.period
        count = 0
        # This process has counted its own messages; ids do not tell which messages came before the clock was set.
        if before is None and start <= self._started:
            count = await self._store.count_accepted(*owner, start, end)
        if self._stretches.get(owner) is before:  # unless another task has started it meanwhile
            self._stretches[owner] = _Stretch(end, monotonic + (end - now).total_seconds(), count)
