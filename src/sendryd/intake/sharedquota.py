"""Sending quotas of a cluster: all processes count in the database. Fulfils `intake.quota.QuotaLedger`.

What is asked for while the database counts is counted together afterwards, so that one process at a time locks a count, and shortly. Periods begin by the
server's clock, which is the same for all.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sendryd.intake.quota import ACCOUNT_WORD, KEY_WORD, Quota
from sendryd.model.message import Message
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.store.base.sharing import Allowance, QuotaReturn, QuotaTake, SharedCounts, UsedUp
from sendryd.store.errors import StoreError

RETURN_INTERVAL: Final = 1.0  # seconds in which what was given back is uncounted, if nothing else is counted meanwhile
MAX_TAKES: Final = 200  # counted in one transaction: others wait for it


@dataclass(slots=True)
class _Waiting:
    take: QuotaTake
    messages: Sequence[Message]
    answer: asyncio.Future[UsedUp | None]


class SharedQuotas:
    """The ledger of a process among others: one quota for each key, one for each account; either may be absent."""

    def __init__(self, store: SharedCounts, clock: Clock, *, of_key: Quota | None, of_account: Quota | None) -> None:
        self._store = store
        self._clock = clock
        self._of_key = of_key
        self._of_account = of_account
        self._waiting: list[_Waiting] = []
        self._returned: list[QuotaReturn] = []
        self._counting: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._refused_until: dict[str, float] = {}  # by word: end of the period whose quota was used up last

    async def take(self, messages: Sequence[Message]) -> Refusal | None:
        """Counts messages of one actor: all, or none if a quota would be exceeded, which the refusal says. `give_back` uncounts them.

        Raises `StoreUnavailable`.
        """
        if not messages:
            return None
        loop = asyncio.get_running_loop()
        waiting = _Waiting(QuotaTake(number=len(messages), allowances=self._allowances(messages[0])), messages, loop.create_future())
        self._waiting.append(waiting)
        if self._counting is None:
            self._counting = loop.create_task(self._count())
        used_up = await waiting.answer
        if used_up is None:
            return None
        word = ACCOUNT_WORD if used_up.allowance.api_key_id is None else KEY_WORD
        self._refused_until[word] = self._clock.monotonic() + used_up.seconds
        return Refusal(RefusalKey.QUOTA_REACHED, word)

    def retry_after(self, refusal: Refusal) -> int:
        """Whole seconds until the used-up quota's next period."""
        wait = self._refused_until.get(refusal.detail, 0.0) - self._clock.monotonic()
        return max(1, math.ceil(wait))

    def give_back(self, messages: Sequence[Message]) -> None:
        """Uncounts messages that were not accepted: with what is counted next, or within a second."""
        for message in messages:
            for allowance in self._allowances(message):
                self._returned.append(QuotaReturn(number=1, allowance=allowance, made_at=message.created_at))
        if self._returned and self._returning is None:
            self._returning = asyncio.get_running_loop().create_task(self._return())

    def _allowances(self, message: Message) -> tuple[Allowance, ...]:
        """Those of a message's key and account. Mail of the system counts for the account alone."""
        limits = ((self._of_key, message.api_key_id), (self._of_account, None))
        return tuple(
            Allowance(account_id=message.account_id, api_key_id=key_id, mode=message.mode, count=quota.count, period=quota.period)
            for quota, key_id in limits
            if quota is not None and (key_id is not None or quota is self._of_account)
        )

    async def _count(self) -> None:
        """Counts until nothing waits."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting[:MAX_TAKES], self._waiting[MAX_TAKES:]
                try:
                    found = await self._exchange([each.take for each in waiting])
                except Exception as error:
                    for each in waiting:
                        if not each.answer.done():
                            each.answer.set_exception(error)
                    continue
                for each, used_up in zip(waiting, found, strict=True):
                    if not each.answer.done():
                        each.answer.set_result(used_up)
                    elif used_up is None:  # who asked has gone
                        self.give_back(each.messages)
        finally:
            self._counting = None

    async def _return(self) -> None:
        try:
            while self._returned:
                await self._clock.sleep(RETURN_INTERVAL)
                if self._returned:
                    try:
                        await self._exchange([])
                    except StoreError:  # the next take, or the next turn
                        continue
        finally:
            self._returning = None

    async def _exchange(self, takes: Sequence[QuotaTake]) -> list[UsedUp | None]:
        returned, self._returned = self._returned, []
        try:
            return await self._store.take_quotas(takes, returned)
        except BaseException:
            self._returned = returned + self._returned
            raise
