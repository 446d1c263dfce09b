"""Suspended accounts: their mail is held until the suspension ends."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.ids import AccountId
from sendryd.store.base.queue import HeldBy


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendedAccount:
    """An account whose mail waits."""

    account_id: AccountId
    by: str  # who suspended it: a person's name
    since: datetime
    until: datetime | None = None  # None: until somebody ends it
    reason: str = ""

    @property
    def note(self) -> HeldBy:
        """What each of its held deliveries says."""
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        return HeldBy(
            by=self.by,
            since=self.since,
            why=f"the account is suspended{until}{f': {self.reason}' if self.reason else ''}",
            is_suspended=True,
        )

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended; its mail may not be released yet."""
        return self.until is not None and self.until <= now


class SuspensionStore(Protocol):
    """Suspended accounts."""

    async def suspend_account(self, suspension: SuspendedAccount) -> bool:
        """Suspends an account. Durable. False if it is suspended already, which stays as it is."""
        ...

    async def list_suspended_accounts(self) -> list[SuspendedAccount]:
        """The suspended accounts, also those whose suspension is over. Cheap."""
        ...

    async def end_suspension(self, account_id: AccountId, now: datetime) -> bool:
        """Lets a suspension be over from now on. Durable. False if there is none."""
        ...

    async def forget_suspension(self, account_id: AccountId) -> None:
        """Deletes a suspension, once its mail is released. Durable."""
        ...
