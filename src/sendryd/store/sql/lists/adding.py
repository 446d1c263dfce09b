"""Suppressions and unsubscribes, stored in the transaction of their cause."""

from collections.abc import Sequence

from sendryd.store.base import NewSuppression, NewUnsubscribe
from sendryd.store.codec.lists import new_suppression_row, new_unsubscribe_row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change
from sendryd.store.sql.database import Database
from sendryd.store.sql.lists.queries import SQL


def suppress(connection: Connection, account_id: int, new: NewSuppression, moment: int) -> None:
    """Adds a suppression within a transaction."""
    change(connection, SQL["insert_suppression"], **new_suppression_row(account_id, new, moment))


def unsubscribe(connection: Connection, account_id: int, new: NewUnsubscribe, moment: int) -> None:
    """Adds an unsubscribe within a transaction."""
    change(connection, SQL["insert_unsubscribe"], **new_unsubscribe_row(account_id, new, moment))


async def find_unsubscribed(database: Database, account_id: int, list_id: str | None, emails: Sequence[str]) -> frozenset[str]:
    """The addresses among these that have unsubscribed from all marketing or from this list."""
    values = {"account_id": account_id, "list_id": list_id or ""}
    return frozenset([email for email in emails if await database.find_row(SQL["is_unsubscribed"], email=email, **values)])
