"""Migrations of the server's database: numbered files, each applied once, in one transaction, by one process at a time."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final

import asyncpg

from sendryd.store.drivers.postgres import ALONE, Target, connect, translated
from sendryd.store.errors import SchemaMismatch

MAKE: Final = """CREATE TABLE IF NOT EXISTS migration (
    number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the script, in hexadecimal."""
        return hashlib.sha256(self.script.encode()).hexdigest()


@cache
def all_migrations() -> tuple[Migration, ...]:
    """All migrations, oldest first."""
    folder = resources.files("sendryd.store.postgres").joinpath("migrations")
    found = [(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".sql")]
    return tuple(sorted((Migration(int(name[:4]), name, script) for name, script in found), key=lambda each: each.number))


async def pending(target: Target) -> list[Migration]:
    """What the database lacks. Raises `SchemaMismatch` if a newer version has changed it, and `StoreUnavailable`."""
    connection = await connect(replace(target, is_pooled=True))  # sets nothing in a session that a pool shares
    try:
        with translated(target):
            async with connection.transaction(readonly=True):
                return await lacking(connection)
    finally:
        connection.terminate()


async def apply(target: Target) -> list[Migration]:
    """Applies what the database lacks, all or nothing. Returns it. Raises what `pending` does."""
    connection = await connect(replace(target, is_pooled=True))  # sets nothing in a session that a pool shares
    try:
        with translated(target):
            async with connection.transaction():
                await connection.execute(f"SELECT pg_advisory_xact_lock({ALONE})")
                await connection.execute(MAKE)
                missing = await lacking(connection)
                for migration in missing:
                    await connection.execute(migration.script)
                    await connection.execute(
                        "INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)",
                        migration.number,
                        migration.name,
                        migration.checksum,
                    )
                return missing
    finally:
        connection.terminate()


async def lacking(connection: "asyncpg.Connection[Any]") -> list[Migration]:
    """What the database of a connection lacks. Raises `SchemaMismatch`."""
    if await connection.fetchval("SELECT to_regclass('migration')") is None:
        return list(all_migrations())
    applied = {row["number"]: row for row in await connection.fetch("SELECT number, name, checksum FROM migration")}
    known = {each.number: each for each in all_migrations()}
    unknown = sorted(applied.keys() - known.keys())
    if unknown:
        raise SchemaMismatch(f"a newer version of sendryd has changed the database ({applied[unknown[-1]]['name']}): install that version")
    for number, row in applied.items():
        if known[number].checksum != row["checksum"]:
            raise SchemaMismatch(f"the database was made by another version of sendryd: {row['name']} differs")
    return [each for each in all_migrations() if each.number not in applied]
