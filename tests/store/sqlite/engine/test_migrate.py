"""A migration that databases may have applied keeps its text."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sendryd.store.sqlite.engine.migrate import Migration, all_migrations

TABLE: Final = Path(__file__).parents[3] / "data/migrations.toml"


def differences(migrations: Sequence[Migration], recorded: dict[str, str]) -> list[str]:
    """What is wrong, with what to do."""
    found = {migration.name: migration.checksum for migration in migrations}
    new = [f'{name} is not in {TABLE.name}: add\n{name} = "{checksum}"' for name, checksum in found.items() if name not in recorded]
    gone = [f"{name} is missing: databases have applied it" for name in recorded if name not in found]
    changed = [
        f"{name} has another text, and databases that applied it would be refused: restore it, and write a new migration"
        for name, checksum in recorded.items()
        if found.get(name, checksum) != checksum
    ]
    return new + gone + changed


def test_migrations_keep_their_text() -> None:
    assert differences(all_migrations(), tomllib.loads(TABLE.read_text("utf-8"))) == []


def test_migration_numbers_are_unique() -> None:
    versions = [migration.version for migration in all_migrations()]
    assert len(versions) == len(set(versions))


def test_a_changed_comment_a_new_file_and_a_removed_file_are_found() -> None:
    recorded = {migration.name: migration.checksum for migration in all_migrations()}
    first, second, *others = all_migrations()
    reworded = Migration(first.version, first.name, f"-- A comment.\n{first.text}")
    added = Migration(99, "0099_new", "CREATE TABLE new (id INTEGER PRIMARY KEY) STRICT;")
    found = differences([reworded, *others, added], recorded)
    assert found == [
        f'0099_new is not in migrations.toml: add\n0099_new = "{added.checksum}"',
        f"{second.name} is missing: databases have applied it",
        "0001_initial has another text, and databases that applied it would be refused: restore it, and write a new migration",
    ]
