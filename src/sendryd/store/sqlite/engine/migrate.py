"""Numbered migrations. Each is applied once and recorded with its checksum."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import apsw

from sendryd.store.errors import SchemaMismatch

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


@cache
def all_migrations() -> tuple[Migration, ...]:
    """The migrations of this version of the program, in order."""
    folder = resources.files("sendryd.store.sqlite").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        Migration(int(name.partition("_")[0]), name.removesuffix(".sql"), folder.joinpath(name).read_text("utf-8")) for name in names
    )


def applied_versions(connection: apsw.Connection) -> dict[int, str]:
    """Versions and checksums of the migrations that a database has applied."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migration'").fetchall():
        return {}
    rows: list[tuple[Any, ...]] = connection.execute("SELECT version, checksum FROM schema_migration").fetchall()
    return {int(version): str(checksum) for version, checksum in rows}


def pending(connection: apsw.Connection) -> list[Migration]:
    """Migrations that a database lacks. Raises `SchemaMismatch` if it has applied one that this program does not know, or another text of one."""
    applied = applied_versions(connection)
    known = {migration.version: migration for migration in all_migrations()}
    unknown = sorted(applied.keys() - known.keys())
    if unknown:
        raise SchemaMismatch(f"the database was written by a newer version of sendryd (migration {unknown[-1]}); upgrade the program")
    for version, checksum in applied.items():
        if known[version].checksum != checksum:
            raise SchemaMismatch(f"migration {known[version].name} is not the one that was applied to the database")
    return [migration for version, migration in sorted(known.items()) if version not in applied]


def apply(connection: apsw.Connection) -> list[Migration]:
    """Applies all pending migrations in one transaction and returns them. Safe for several processes at once."""
    done = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_TABLE)
        for migration in pending(connection):
            connection.execute(migration.text)
            connection.execute("INSERT INTO schema_migration VALUES (?, ?, ?)", (migration.version, migration.name, migration.checksum))
            done.append(migration)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return done
