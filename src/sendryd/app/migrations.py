"""Migrations of the configured database, for the command line."""

from pathlib import Path

from sendryd.store.sqlite import migrate
from sendryd.store.sqlite.connection import FILE_NAME, check_engine, open_connection, translated


def list_pending(data_dir: Path) -> list[str]:
    """Names of what the database lacks. Raises `StoreError`."""
    check_engine()
    if not (data_dir / FILE_NAME).exists():
        return [migration.name for migration in migrate.all_migrations()]
    with translated():
        connection = open_connection(data_dir / FILE_NAME)
        try:
            return [migration.name for migration in migrate.pending(connection)]
        finally:
            connection.close()


def apply_pending(data_dir: Path) -> list[str]:
    """Applies what the database lacks; gives the names. Raises `StoreError`."""
    check_engine()
    with translated():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = open_connection(data_dir / FILE_NAME)
        try:
            return [migration.name for migration in migrate.apply(connection)]
        finally:
            connection.close()
