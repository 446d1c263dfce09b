"""Suppressions and unsubscribes that are stored in the transaction of what led to them."""

from collections.abc import Sequence

import apsw

from sendryd.store.base import NewSuppression, NewUnsubscribe
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.lists.queries import SQL


def suppress(connection: apsw.Connection, account_id: int, new: NewSuppression, moment: int) -> None:
    """Adds a suppression with what else is stored."""
    connection.execute(SQL["insert_suppression"], (new.id, account_id, new.email, new.reason.value, moment)).fetchall()


def unsubscribe(connection: apsw.Connection, account_id: int, new: NewUnsubscribe, moment: int) -> None:
    """Adds an unsubscribe with what else is stored."""
    connection.execute(SQL["insert_unsubscribe"], (new.id, account_id, new.email, new.list_id or "", new.reason, moment))


def find_unsubscribed(database: Database, account_id: int, list_id: str | None, emails: Sequence[str]) -> frozenset[str]:
    """Those of the addresses that have unsubscribed from everything, or from this list."""
    return frozenset(email for email in emails if database.fetch_one(SQL["is_unsubscribed"], account_id, email, list_id or ""))
