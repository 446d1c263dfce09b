"""Suspending an account's mail and letting it go on. Each change is in the audit."""

from datetime import timedelta

from sendryd.accounts.audit import Audit, By
from sendryd.accounts.emails import shorten_reason
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId, format_id
from sendryd.model.moment import timestamp
from sendryd.runtime.clock import Clock
from sendryd.store.base import QueueFilter, Store, SuspendedAccount


class Suspensions:
    """Suspends accounts. The caller has checked the right to do so."""

    def __init__(self, store: Store, audit: Audit, *, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock

    async def suspend(self, account_id: AccountId, by: By, *, name: str, length: timedelta | None = None, reason: str = "") -> int | None:
        """Holds all that waits of an account, and what it sends later when that falls due; for a time, or until it is resumed. Returns how many
        deliveries are held now; None if the account is suspended already. Attempts under way go on.
        """
        now = self._clock.now()
        until = now + length if length is not None else None
        suspension = SuspendedAccount(account_id=account_id, by=name, since=now, until=until, reason=shorten_reason(reason))
        if not await self._store.suspend_account(suspension):
            return None
        after = {**({"until": timestamp(until)} if until else {}), **({"reason": suspension.reason} if suspension.reason else {})}
        await self._audit.add(by.account_id, by.actor, by.client, "account.suspended", _target(account_id), after=after)
        return await self._store.hold(QueueFilter(account_id=account_id), now, by=suspension.note)

    async def resume(self, account_id: AccountId, by: By) -> int | None:
        """Ends a suspension and releases what it holds. Returns how many deliveries are due now; None if the account is not suspended."""
        now = self._clock.now()
        if not await self._store.end_suspension(account_id, now):
            return None
        released = await self._store.release_held(QueueFilter(account_id=account_id, is_suspended=True), now)
        await self._store.forget_suspension(account_id)
        await self._audit.add(by.account_id, by.actor, by.client, "account.resumed", _target(account_id), after={"deliveries": released})
        return released


def _target(account_id: AccountId) -> str:
    return format_id(ORGANIZATION_PREFIX, account_id)
