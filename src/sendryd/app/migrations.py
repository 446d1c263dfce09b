"""Migrations of the configured database, for the command line."""

import asyncio
from pathlib import Path

from sendryd.app.database import target_of
from sendryd.app.settings import Settings
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


def list_configured(settings: Settings) -> list[str]:
    """Names of what the configured database lacks. Raises `StoreError`."""
    target = target_of(settings)
    if target is None:
        return list_pending(settings.data_dir)
    from sendryd.store.postgres import migrate as server

    return [migration.name for migration in asyncio.run(server.pending(target))]


def apply_configured(settings: Settings) -> list[str]:
    """Applies what the configured database lacks; gives the names. Raises `StoreError`."""
    target = target_of(settings)
    if target is None:
        return apply_pending(settings.data_dir)
    from sendryd.store.postgres import migrate as server

    return [migration.name for migration in asyncio.run(server.apply(target))]
