"""Finds deliveries whose rows are damaged, holds and reports each. The other deliveries go on.

The search starts only after a claim or a change has failed. It then reads all queued deliveries once and holds the damaged ones. Values of a wrong
type are replaced by values that their columns can hold, because the engine refuses every change of a row that has one.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from sendryd.model.ids import DELIVERY_PREFIX, format_id
from sendryd.store.codec.values import to_json
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import REFUSED
from sendryd.store.drivers.statements import change, fetch_rows
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.errors import RowUnreadable
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.queries import SQL

SIGNS: Final = (
    RowUnreadable,
    ValueError,
    TypeError,
    *REFUSED,
)  # raised by a statement over several rows if one of them is damaged
UNUSABLE: Final = "a text of it is not UTF-8, or a value has the wrong type"
STEP: Final = 1000  # deliveries held in one transaction


async def set_aside_damaged(database: Database) -> int:
    """Holds the damaged queued deliveries. Returns how many; with none, the failure has another cause."""
    found = await database.read(_find)
    for start in range(0, len(found), STEP):
        await database.write(partial(_hold, numbers=found[start : start + STEP], unreadable=database.unreadable))
    return len(found)


def _hold(connection: Connection, _batch: object, numbers: Sequence[int], unreadable: Unreadable) -> None:
    hold_damaged(connection, numbers, unreadable)


def hold_damaged(connection: Connection, numbers: Sequence[int], unreadable: Unreadable) -> None:
    """Holds damaged deliveries within a transaction, and reports each."""
    change(connection, SQL["hold_damaged"], ids=to_json(numbers))
    for number in numbers:
        unreadable.note(RowUnreadable(format_id(DELIVERY_PREFIX, number), UNUSABLE))


def _find(connection: Connection) -> list[int]:
    rows = fetch_rows(connection, SQL["list_queued"])
    return [row["id"] for row in rows if not row["is_sound"] or not _is_text(row["domain"])]


def _is_text(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
