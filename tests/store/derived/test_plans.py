"""The follower and searches read along primary keys and indexes, whatever the size of the main file."""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import apsw
import pytest

from sendryd.store.derived.queries import SQL as DERIVED
from sendryd.store.drivers.sqlite import open_connection
from sendryd.store.drivers.statement import Statement
from sendryd.store.sql.mail.queries import SQL as MAIL
from sendryd.store.sqlite.engine import migrate
from sendryd.testing.cases import cases

SEARCHES = ("find_messages", "walk_messages", "walk_ended", "walk_complained", "list_waiting_messages")
CONDITIONS = {"walk_ended": "state = 'bounced'"}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    """An empty database that has the tables of both files."""
    made = open_connection(tmp_path / "plans.db")
    migrate.apply(made)
    made.execute(resources.files("sendryd.store.derived").joinpath("schema.sql").read_text("utf-8"))
    yield made
    made.close()


def plan(connection: apsw.Connection, statement: Statement) -> list[str]:
    values = dict.fromkeys(re.findall(r":(\w+)", statement.sqlite))
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", values).fetchall()]


@cases("name", DERIVED)
def test_no_table_is_passed_as_a_whole(connection: apsw.Connection, name: str) -> None:
    steps = plan(connection, DERIVED[name])
    assert [step for step in steps if re.match(r"SCAN (?:message|delivery|event|amended|figure|activity|earlier)\b", step)] == []


@cases("name", SEARCHES)
def test_lists_go_along_the_rare_side(connection: apsw.Connection, name: str) -> None:
    for condition in (CONDITIONS.get(name, "m.account_id = 1 AND m.mode = 'live'"), CONDITIONS.get(name, "m.account_id = 1")):
        steps = plan(connection, MAIL[name].where(condition))
        scans = [
            step
            for step in steps
            if step.startswith("SCAN")
            and not re.search(
                "INDEX delivery_(leased|held|age)|json_each|SUBQUERY|^SCAN (?:[(]|leased|held|queued)", step
            )  # the last three are the names of limited subqueries
        ]
        assert scans == [], steps
        if name != "list_waiting_messages":  # of ten thousand numbers at most
            assert [step for step in steps if "TEMP B-TREE FOR ORDER BY" in step] == [], steps


def test_mail_that_failed_is_found_in_an_index_of_its_own(connection: apsw.Connection) -> None:
    steps = plan(connection, MAIL["walk_ended"].where("state = 'bounced'"))
    assert any("COVERING INDEX delivery_ended (state=? AND message_id<?)" in step for step in steps)
    assert any("event_complained (message_id<?)" in step for step in plan(connection, MAIL["walk_complained"]))
