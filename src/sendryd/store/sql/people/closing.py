"""`ClosingStore`."""

from datetime import datetime
from typing import Final

from sendryd.model.ids import AccountId
from sendryd.model.people import AuditEntry
from sendryd.store.codec.people import audit_row
from sendryd.store.codec.values import to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_value
from sendryd.store.errors import MailWaits, NotFound
from sendryd.store.sql.database import Database
from sendryd.store.sql.people.queries import SQL

# In this order: sessions and links name memberships and people.
_ENDINGS: Final = (
    "close_sessions",
    "close_links",
    "close_saved_views",
    "close_memberships",
    "close_people",
    "close_domains",
    "close_removed_domains",
    "close_webhooks",
    "close_facts",
    "close_templates",
    "close_suppressions",
    "close_unsubscribes",
    "close_reports",
    "close_api_requests",
    "close_refusals",
    "close_answers",
    "close_silences",
    "close_alerts",
    "close_jobs",
    "close_domain_reports",
    "close_inbound",
)


class Closing:
    """The end of an account."""

    _database: Database

    async def count_waiting(self, account_id: AccountId) -> int:
        return int(await self._database.read(lambda connection: fetch_value(connection, SQL["count_waiting"], account_id=account_id)))

    async def close_account(self, account_id: AccountId, name: str, now: datetime, audit: AuditEntry) -> None:
        def action(connection: Connection, _batch: object) -> None:
            waiting = fetch_value(connection, SQL["count_waiting"], account_id=account_id)
            if waiting:
                raise MailWaits(waiting)
            if not change(connection, SQL["close_account"], account_id=account_id, name=name):
                raise NotFound("no such account")
            change(connection, SQL["close_keys"], account_id=account_id, moment=to_ms(now))
            for statement in _ENDINGS:
                change(connection, SQL[statement], account_id=account_id)
            change(connection, SQL["insert_audit"], **audit_row(audit))

        await self._database.write(action)
