"""Suspended accounts, in memory."""

from dataclasses import replace
from datetime import datetime

from sendryd.model.ids import AccountId
from sendryd.store.base import SuspendedAccount


class MemorySuspensions:
    """`SuspensionStore` without a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._suspended: dict[AccountId, SuspendedAccount] = {}

    async def suspend_account(self, suspension: SuspendedAccount) -> bool:
        return self._suspended.setdefault(suspension.account_id, suspension) is suspension

    async def list_suspended_accounts(self) -> list[SuspendedAccount]:
        return [each for _, each in sorted(self._suspended.items())]

    async def end_suspension(self, account_id: AccountId, now: datetime) -> bool:
        found = self._suspended.get(account_id)
        if found is not None:
            self._suspended[account_id] = replace(found, until=now)
        return found is not None

    async def forget_suspension(self, account_id: AccountId) -> None:
        self._suspended.pop(account_id, None)
