"""Looks for damage of the file after an unclean end."""

import re
from pathlib import Path
from typing import Final

import apsw

from sendryd.store.errors import StoreUnavailable
from sendryd.store.sqlite.engine.creating import size_of

CHECKED_SIZE: Final = 64 * 1024 * 1024  # octets of a database that is looked through after an unclean end: a tenth of a second
MAX_FAULTS: Final = 100  # looked for: SQLite tells of damaged pages before it tells of rows
SHOWN_FAULTS: Final = 3  # in the one line of an error

# A value that breaks a rule of its column; the row is where it should be.
_FAULT_OF_A_ROW: Final = re.compile(r"(?:CHECK constraint failed in|NULL value in|NUMERIC value in|TEXT value in|non-[A-Z]+ value in) ")


def check_database(connection: apsw.Connection, path: Path) -> None:
    """Looks for damage that reaches beyond a row, unless the file is large. A row that is damaged by itself is set aside when it is
    read. Raises `StoreUnavailable`.
    """
    if size_of(path) > CHECKED_SIZE:
        return
    faults = [str(fault) for (fault,) in connection.execute(f"PRAGMA quick_check({MAX_FAULTS})")]
    found = [fault for fault in faults if fault != "ok" and not _FAULT_OF_A_ROW.match(fault)]
    if found:
        raise StoreUnavailable(f"the database is damaged, restore it from a backup: {'; '.join(found[:SHOWN_FAULTS])}")
