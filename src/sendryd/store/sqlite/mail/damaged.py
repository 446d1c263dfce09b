"""Deliveries whose rows are damaged: found, held one by one, told of. The others go on.

Does: checks each delivery that is claimed, and finds among the queued ones those that no statement can handle.
Strategy: nothing is looked for until a claim or a change fails. Then all that is queued is read once, and what is damaged is held; values of a
wrong type become what their columns can hold, because the engine refuses every change of a row that has one.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import apsw

from sendryd.model.ids import DELIVERY_PREFIX, DeliveryId, format_id
from sendryd.smtp.address import parse_mailbox
from sendryd.store.base import ClaimedDelivery
from sendryd.store.codec.reading import row_of
from sendryd.store.codec.values import to_json
from sendryd.store.errors import RowUnreadable
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.unreadable import Unreadable
from sendryd.store.sqlite.mail.batch import Rows
from sendryd.store.sqlite.mail.queries import SQL

SIGNS: Final = (
    RowUnreadable,
    ValueError,
    TypeError,
    apsw.ConstraintError,
)  # what a statement over several rows raises if one of them is damaged
UNUSABLE: Final = "a text of it is not UTF-8, or a value has the wrong type"
STEP: Final = 1000  # deliveries held in one transaction

_TEXT_OR_NONE: Final = (str, type(None))
_TYPES: Final[tuple[type | tuple[type, ...], ...]] = (
    int,
    int,
    str,
    str,
    int,
    int,
    _TEXT_OR_NONE,
    _TEXT_OR_NONE,
    str,
)  # of the columns of `lease_deliveries`


@row_of(DELIVERY_PREFIX)
def read_claimed(row: Sequence[Any]) -> ClaimedDelivery:
    """A delivery from the columns of `lease_deliveries`. One whose recipient is not of the domain that it is to go to cannot be read."""
    if not all(isinstance(value, kind) for value, kind in zip(row, _TYPES, strict=True)):
        raise TypeError("a value of it has the wrong type")
    domain = parse_mailbox(row[2]).domain
    if domain != row[3]:
        raise ValueError("its recipient is not of the domain that it is to go to")
    return ClaimedDelivery(
        id=DeliveryId(row[0]),
        forward_path=row[2],
        domain=domain,
        attempts=row[4],
        is_in_doubt=bool(row[5]),
        notify=row[6],
        orcpt=row[7],
        last_reply=row[8],
    )


async def set_aside_damaged(database: Database) -> int:
    """Holds what is queued and damaged. Returns how many deliveries that are; with none, whatever failed has another reason."""
    found = await database.read(_find)
    for start in range(0, len(found), STEP):
        await database.write(partial(_hold, numbers=found[start : start + STEP], unreadable=database.unreadable))
    return len(found)


def _hold(connection: apsw.Connection, _rows: Rows, numbers: Sequence[int], unreadable: Unreadable) -> None:
    hold_damaged(connection, numbers, unreadable)


def hold_damaged(connection: apsw.Connection, numbers: Sequence[int], unreadable: Unreadable) -> None:
    """Holds damaged deliveries within a transaction, and tells of each."""
    connection.execute(SQL["hold_damaged"], (to_json(numbers),)).fetchall()
    for number in numbers:
        unreadable.note(RowUnreadable(format_id(DELIVERY_PREFIX, number), UNUSABLE))


def _find(connection: apsw.Connection) -> list[int]:
    rows = connection.execute(SQL["list_queued"])
    return [number for number, domain, is_sound in rows if not is_sound or not _is_text(domain)]


def _is_text(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
