"""What is done to the mail of a restored database before it is used again."""

from pathlib import Path

from sendryd.store.drivers.sqlite import FILE_NAME, open_connection, translated
from sendryd.store.sql.mail.queries import SQL


def doubt_waiting(data_dir: Path) -> int:
    """Marks all deliveries that wait as possible duplicates. Returns how many wait. Raises `StoreError`."""
    with translated():
        connection = open_connection(data_dir / FILE_NAME, may_create=False)
        try:
            return connection.change(SQL["doubt_waiting"], {})
        finally:
            connection.close()
