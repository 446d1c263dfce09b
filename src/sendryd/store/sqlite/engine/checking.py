"""Checks the database file for damage after an unclean end."""

import re
from pathlib import Path
from typing import Final

import apsw

from sendryd.store.errors import StoreUnavailable
from sendryd.store.sqlite.engine.creating import size_of

CHECKED_SIZE: Final = 64 * 1024 * 1024  # octets: a larger database is not checked. This size takes a tenth of a second
MAX_FAULTS: Final = 100  # faults to look for: SQLite reports damaged pages before rows
SHOWN_FAULTS: Final = 3  # faults shown in the error's line

# A value that breaks a constraint of its column; the row itself is in its place.
_FAULT_OF_A_ROW: Final = re.compile(r"(?:CHECK constraint failed in|NULL value in|NUMERIC value in|TEXT value in|non-[A-Z]+ value in) ")


def check_database(connection: apsw.Connection, path: Path) -> None:
    """Looks for damage that reaches beyond one row, unless the file is large. A damaged row is set aside when it is read. Raises
    `StoreUnavailable`.
    """
    if size_of(path) > CHECKED_SIZE:
        return
    faults = [str(fault) for (fault,) in connection.execute(f"PRAGMA quick_check({MAX_FAULTS})")]
    found = [fault for fault in faults if fault != "ok" and not _FAULT_OF_A_ROW.match(fault)]
    if found:
        raise StoreUnavailable(f"the database is damaged, restore it from a backup: {'; '.join(found[:SHOWN_FAULTS])}")
