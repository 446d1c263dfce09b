"""Migrations of the configured database, for the command line."""

from pathlib import Path

from sendryd.store.drivers.sqlite import FILE_NAME, check_engine, open_connection, translated
from sendryd.store.sqlite.engine import migrate
from sendryd.store.sqlite.engine.creating import create_database


def list_pending(data_dir: Path) -> list[str]:
    """Names of what the database lacks. Raises `StoreError`."""
    check_engine()
    if not (data_dir / FILE_NAME).exists():
        return [migration.name for migration in migrate.all_migrations()]
    with translated():
        connection = open_connection(data_dir / FILE_NAME, may_create=False)
        try:
            return [migration.name for migration in migrate.pending(connection)]
        finally:
            connection.close()


def apply_pending(data_dir: Path) -> list[str]:
    """Applies what the database lacks; gives the names. Raises `StoreError`."""
    check_engine()
    with translated():
        lacking = list_pending(data_dir)
        create_database(data_dir / FILE_NAME)  # with all of them, if there is none
        connection = open_connection(data_dir / FILE_NAME, may_create=False)
        try:
            migrate.apply(connection)
            return lacking
        finally:
            connection.close()
