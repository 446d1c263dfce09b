"""Suspended accounts."""

from datetime import datetime

from sendryd.model.ids import AccountId
from sendryd.store.base import SuspendedAccount
from sendryd.store.codec.values import from_ms, from_ms_or_none, to_ms, to_ms_or_none
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.queries import SQL


class Suspensions:
    """`SuspensionStore`."""

    _database: Database

    async def suspend_account(self, suspension: SuspendedAccount) -> bool:
        values = {
            "account_id": suspension.account_id,
            "suspended_by": suspension.by,
            "suspended_at": to_ms(suspension.since),
            "ends_at": to_ms_or_none(suspension.until),
            "reason": suspension.reason,
        }
        return bool(await self._database.change(SQL["suspend_account"], **values))

    async def list_suspended_accounts(self) -> list[SuspendedAccount]:
        return [
            SuspendedAccount(
                account_id=AccountId(row["account_id"]),
                by=row["suspended_by"],
                since=from_ms(row["suspended_at"]),
                until=from_ms_or_none(row["ends_at"]),
                reason=row["reason"],
            )
            for row in await self._database.find_rows(SQL["list_suspended_accounts"])
        ]

    async def end_suspension(self, account_id: AccountId, now: datetime) -> bool:
        return bool(await self._database.change(SQL["end_suspension"], account_id=account_id, moment=to_ms(now)))

    async def forget_suspension(self, account_id: AccountId) -> None:
        await self._database.change(SQL["forget_suspension"], account_id=account_id)
