"""The schema: it has the model's words and moves, and is what all migrations make of an older one."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from importlib import resources
from pathlib import Path

import apsw
import pytest

import sendryd.store
from sendryd.model.actor import Role
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.bulk import BulkChange, BulkState
from sendryd.model.delivery import TRANSITIONS, DeliveryState
from sendryd.model.domain import DomainStatus, StsMode
from sendryd.model.domainreport import ReportTopic
from sendryd.model.event import EventType
from sendryd.model.message import MessageClass, MessageType, TlsDemand
from sendryd.model.people import LinkPurpose, SignInMethod
from sendryd.model.report import ReportFrequency
from sendryd.model.suppression import SuppressionReason
from sendryd.model.webhook import NotificationState
from sendryd.policy.crashes import pause_after_crash
from sendryd.store.base import EgressKind
from sendryd.store.drivers.loading import load
from sendryd.store.drivers.sqlite import FILE_NAME, open_connection
from sendryd.store.errors import SchemaMismatch
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine import migrate
from sendryd.testing.cases import cases
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples

WORDS: dict[tuple[str, str], type[StrEnum]] = {
    ("egress_suspension", "kind"): EgressKind,
    ("api_key", "scope"): Scope,
    ("api_key", "mode"): KeyMode,
    ("sending_domain", "status"): DomainStatus,
    ("domain_check", "status"): DomainStatus,
    ("domain_report", "topic"): ReportTopic,
    ("message", "mode"): KeyMode,
    ("message", "tls_demand"): TlsDemand,
    ("sts_policy", "mode"): StsMode,
    ("message", "type"): MessageType,
    ("delivery", "state"): DeliveryState,
    ("delivery", "class"): MessageClass,
    ("event", "mode"): KeyMode,
    ("event", "type"): EventType,
    ("suppression", "reason"): SuppressionReason,
    ("webhook", "mode"): KeyMode,
    ("template", "mode"): KeyMode,
    ("notification", "state"): NotificationState,
    ("scheduled_report", "frequency"): ReportFrequency,
    ("membership", "role"): Role,
    ("link", "purpose"): LinkPurpose,
    ("session", "method"): SignInMethod,
    ("bulk_job", "change"): BulkChange,
    ("bulk_job", "state"): BulkState,
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    made = open_connection(tmp_path / FILE_NAME)
    migrate.apply(made)
    yield made
    made.close()


@cases(("before", "after"), list(itertools.product(DeliveryState, DeliveryState)))
def test_the_schema_has_the_moves_of_the_life_cycle(connection: apsw.Connection, before: DeliveryState, after: DeliveryState) -> None:
    token = 1 if before is DeliveryState.LEASED else None
    connection.execute("DELETE FROM delivery")
    connection.execute(
        "INSERT INTO delivery (id, message_id, forward_path, domain, state, due_at, lease_token, created_at) VALUES (1, 1, 'a', 'b', ?, 0, ?, 0)",
        (before.value, token),
    )
    change = "UPDATE delivery SET state = ?, lease_token = ? WHERE id = 1"
    values = (after.value, 1 if after is DeliveryState.LEASED else None)
    if after is before or after in TRANSITIONS[before]:
        connection.execute(change, values)
    else:
        with pytest.raises(apsw.ConstraintError, match="does not have this move"):
            connection.execute(change, values)


def _checks(sql: str) -> list[str]:
    """The checks in the text of a table, without the comments and layout."""
    text = re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql))
    found = []
    for start in re.finditer(r"\bCHECK \(", text):
        depth, end = 1, start.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        found.append(text[start.end() : end - 1].strip())
    return sorted(found)


def test_the_schema_has_the_words_of_the_model(connection: apsw.Connection) -> None:
    found = {}
    for table, sql in connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").fetchall():
        for check in _checks(str(sql)):
            if match := re.fullmatch(r"(\w+) IN \((.*)\)", check):
                found[table, match[1]] = set(re.findall(r"'(\w+)'", match[2]))
    assert found == {place: {word.value for word in words} for place, words in WORDS.items()}
    connection.close()


def test_checks_are_read_from_the_text_of_a_table() -> None:
    text = "CREATE TABLE a (b TEXT CHECK (b IN ('x',\n 'y')), c INTEGER, -- CHECK (no)\n CHECK ((b = 'x') =  (c > 0)))"
    assert _checks(text) == ["(b = 'x') = (c > 0)", "b IN ('x', 'y')"]


def _describe(database: apsw.Connection) -> list[tuple[object, ...]]:
    """Tables by their columns and checks, for a column that was added later stands elsewhere in the text; all else by its text."""
    query = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name <> 'schema_migration' ORDER BY name"
    found: list[tuple[object, ...]] = []
    for kind, name, text in database.execute(query).fetchall():
        columns = database.execute('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (name,)).fetchall()
        found.append((kind, name, (sorted(columns), _checks(str(text))) if kind == "table" else text))
    return found


def test_the_schema_is_what_all_migrations_make(tmp_path: Path) -> None:
    migrated, fresh = open_connection(tmp_path / "migrated.db"), open_connection(tmp_path / "fresh.db")
    migrate.apply(migrated)
    fresh.execute(resources.files(sendryd.store.sqlite).joinpath("schema.sql").read_text("utf-8"))
    assert _describe(migrated) == _describe(fresh)
    migrated.close()
    fresh.close()


def test_migrations_are_applied_once_and_guarded(connection: apsw.Connection) -> None:
    assert migrate.apply(connection) == []
    connection.execute("UPDATE schema_migration SET checksum = 'other'")
    with pytest.raises(SchemaMismatch, match="not the one"):
        migrate.pending(connection)
    connection.execute("INSERT INTO schema_migration VALUES (9999, 'future', 'x')")
    with pytest.raises(SchemaMismatch, match="newer version"):
        migrate.pending(connection)
    connection.close()


def test_every_statement_is_used() -> None:
    folder = Path(str(resources.files(sendryd.store)))
    files = list(folder.rglob("queries.sql"))
    assert len(files) > 10
    for file in files:
        package = ".".join(("sendryd.store", *file.parent.relative_to(folder).parts))
        readers = [path for path in folder.rglob("*.py") if f"from {package}.queries import SQL" in path.read_text("utf-8")]
        code = "".join(path.read_text("utf-8") for path in readers)
        assert [name for name in load(package) if f'"{name}"' not in code] == []


def _make(path: Path, version: int) -> apsw.Connection:
    """A database as a version made it whose last migration this was."""
    connection = open_connection(path)
    connection.execute(migrate._TABLE)
    for migration in migrate.all_migrations()[:version]:
        connection.execute(migration.text)
        connection.execute("INSERT INTO schema_migration VALUES (?, ?, ?)", (migration.version, migration.name, migration.checksum))
    return connection


async def test_a_database_with_leases_of_the_version_before_is_migrated(tmp_path: Path) -> None:
    connection = _make(tmp_path / FILE_NAME, 2)
    _insert_old_rows(connection)
    connection.close()
    store = open_store(tmp_path)
    assert await store.list_leased(OWNER) == []
    (returned,) = await store.return_dead_leases(OWNER, now=NOW, pause=pause_after_crash)
    assert (returned.id, returned.crashes) == (1, 1)
    assert await store.return_dead_notifications(OWNER) == 1
    (claimed,) = await store.claim_deliveries(now=NOW, lease=Samples().lease(), limit=9, busy=frozenset(), per_domain=9)
    assert claimed.deliveries[0].is_in_doubt
    await store.aclose()


def _insert_old_rows(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO account (id, name, created_at) VALUES (1, 'default', 0)")
    connection.execute(
        "INSERT INTO message (id, account_id, mode, reverse_path, author, recipients, subject, internet_message_id, size, created_at,"
        " needs_smtputf8, is_8bit, segment, position) VALUES (1, 1, 'live', '', 'a@b.test', '[[\"u@one.test\"],[]]', '', '', 0, 1, 0, 0, 1, 0)"
    )
    columns = "message_id, forward_path, domain, state, due_at, lease_token, lease_until, created_at"
    connection.execute(f"INSERT INTO delivery (id, {columns}) VALUES (1, 1, 'u@one.test', 'one.test', 'leased', 1, 5, 1767000000000, 1)")
    connection.execute(
        "INSERT INTO webhook (id, account_id, url, events, secret, is_active, created_at, updated_at) VALUES (1, 1, 'u', '[]', 's', 1, 0, 0)"
    )
    connection.execute(
        "INSERT INTO notification (webhook_id, account_id, type, state, due_at, lease_token, lease_until, created_at)"
        " VALUES (1, 1, 'email.delivered', 'leased', 1, 5, 1767000000000, 1)"
    )


def _insert_mail(connection: apsw.Connection, number: int, type_: str, state: str) -> None:
    connection.execute(
        "INSERT INTO message (id, account_id, mode, reverse_path, author, recipients, subject, internet_message_id, size, created_at,"
        " needs_smtputf8, is_8bit, segment, position, type)"
        " VALUES (?, 7, 'live', '', 'a@b.test', '[[\"u@one.test\"],[]]', '', '', 0, 1, 0, 0, 1, 0, ?)",
        (number, type_),
    )
    connection.execute(
        "INSERT INTO delivery (id, message_id, forward_path, domain, state, due_at, created_at) VALUES (?1, ?1, 'u@one.test', 'one.test', ?2, 5, 1)",
        (number, state),
    )


def _read_deliveries(path: Path) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path))
    found = connection.execute("SELECT id, account_id, class, site, state, hold_reason FROM delivery ORDER BY id").fetchall()
    connection.close()
    return found


def test_deliveries_of_the_version_before_get_their_account_and_class(tmp_path: Path) -> None:
    connection = _make(tmp_path / FILE_NAME, 11)
    _insert_mail(connection, 1, "transactional", "queued")
    _insert_mail(connection, 2, "marketing", "delivered")
    _insert_mail(connection, 3, "marketing", "queued")
    connection.execute("DELETE FROM message WHERE id = 3")
    connection.close()
    open_store(tmp_path)._sqlite.close()
    assert _read_deliveries(tmp_path / FILE_NAME) == [
        (1, 7, "transactional", None, "queued", None),
        (2, 7, "bulk", None, "delivered", None),
        (3, 0, "transactional", None, "queued", None),
    ]


@pytest.mark.parametrize(
    ("damage", "state", "after"),
    [
        ("due_at = 'word'", "queued", "held"),
        ("domain = x'ff'", "queued", "held"),
        ("forward_path = NULL", "queued", "held"),
        ("lease_token = 1", "queued", "held"),
        ("state = 'novel'", "queued", "held"),
        ("delivered_at = 'word'", "delivered", "delivered"),  # what is done is not sent again
        ("attempts = NULL", "cancelled", "cancelled"),
        ("crashes = 'word'", "held", "held"),
    ],
)
def test_damaged_deliveries_of_the_version_before_are_migrated_with_the_others(tmp_path: Path, damage: str, state: str, after: str) -> None:
    path = tmp_path / FILE_NAME
    connection = _make(path, 11)
    for number in (1, 2, 3):
        _insert_mail(connection, number, "transactional", state)
    schema = str(connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'delivery'").get)
    loose = schema.replace(") STRICT", ")").replace("TEXT NOT NULL", "TEXT").replace("INTEGER NOT NULL", "INTEGER")
    connection.execute("DROP TRIGGER delivery_moves")
    for text, version, change in ((loose, 1_000_001, f"UPDATE delivery SET {damage} WHERE id = 2"), (schema, 1_000_002, "")):
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'delivery'", (text,))
        connection.execute(f"PRAGMA schema_version = {version}")
        connection.close()
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(change)
    connection.execute(
        "CREATE TRIGGER delivery_moves BEFORE UPDATE OF state ON delivery BEGIN SELECT 1; END"
    )  # the migration makes its own
    connection.close()
    open_store(tmp_path)._sqlite.close()
    found = {row[0]: row for row in _read_deliveries(path)}
    assert [found[number][4] for number in (1, 2, 3)] == [state, after, state]
    assert [found[number][1] for number in (1, 3)] == [7, 7]
    if after != state:
        assert found[2][5] == "unreadable"


async def test_deliveries_have_the_account_and_class_of_their_message(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    await store.ensure_account(ACCOUNT, "default", NOW)
    later = NOW + timedelta(hours=1)
    plain, scheduled = samples.message(["a@one.test", "b@one.test"]), samples.message(["c@one.test"], due_at=later)
    await store.accept(plain)
    await store.accept(scheduled)
    bulk = replace(scheduled, priority=MessageClass.BULK)
    await store.amend(bulk, NOW)
    await store.aclose()
    classes = [row[1:4] for row in _read_deliveries(tmp_path / FILE_NAME)]
    assert classes == [(ACCOUNT, "transactional", None)] * 2 + [(ACCOUNT, "bulk", None)]
