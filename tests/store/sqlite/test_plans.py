"""Lists stay fast: each statement goes along an index, and nothing is sorted but few rows or bare numbers."""

import re
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import MessageId
from sendryd.store.base import QueueFilter
from sendryd.store.drivers.sqlite import open_connection
from sendryd.store.sql.accounts.queries import SQL as ACCOUNTS
from sendryd.store.sql.bulk.queries import SQL as BULK
from sendryd.store.sql.lists.queries import SQL as LISTS
from sendryd.store.sql.mail.filters import queue_conditions
from sendryd.store.sql.mail.queries import SQL as MAIL
from sendryd.store.sql.reports.queries import SQL as REPORTS
from sendryd.store.sql.templates.queries import SQL as TEMPLATES
from sendryd.store.sql.webhooks.queries import SQL as WEBHOOKS
from sendryd.store.sqlite.engine import migrate
from sendryd.testing.cases import cases
from sendryd.testing.samples import ACCOUNT

SQL = {**ACCOUNTS, **BULK, **LISTS, **MAIL, **REPORTS, **TEMPLATES, **WEBHOOKS}
PAGES = {
    "page_api_keys": [],  # along the primary key: revoked ones are many in no account
    "page_domains": ["USE TEMP B-TREE FOR ORDER BY"],  # of the numbers
    "page_suppressions": [],
    "page_unsubscribes": [],
    "page_unsubscribes_of": ["USE TEMP B-TREE FOR ORDER BY"],  # of one address
    "page_templates": [],
    "page_api_requests": [],
    "count_api_requests": [],
    "count_domains": [],
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    """An empty database."""
    made = open_connection(tmp_path / "plans.db")
    migrate.apply(made)
    yield made
    made.close()


def plan(connection: apsw.Connection, name: str) -> list[str]:
    values = dict.fromkeys(re.findall(r":(\w+)", SQL[name].sqlite))
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {SQL[name].sqlite}", values).fetchall()]


@pytest.mark.parametrize("name", PAGES)
def test_pages_go_along_an_index(connection: apsw.Connection, name: str) -> None:
    steps = plan(connection, name)
    assert [step for step in steps if not step.startswith(("SEARCH ", "LIST SUBQUERY"))] == PAGES[name]


def test_the_request_log_is_filtered_without_reading_bodies(connection: apsw.Connection) -> None:
    for name in ("page_api_requests", "count_api_requests"):
        assert any("USING COVERING INDEX api_request_listed (account_id=?" in step for step in plan(connection, name))


@cases("name", sorted((LISTS.keys() | TEMPLATES.keys()) - {"read_lists_version"}))
def test_no_list_is_passed_as_a_whole(connection: apsw.Connection, name: str) -> None:
    assert [step for step in plan(connection, name) if step.startswith("SCAN")] == []


def test_captured_mail_is_found_by_its_ids(connection: apsw.Connection) -> None:
    for name in ("list_captured", "list_played"):
        steps = plan(connection, name)
        assert any(step.startswith("SEARCH message USING INTEGER PRIMARY KEY") for step in steps), steps
        assert [step for step in steps if step.startswith("SCAN") and "json_each" not in step] == []


def test_the_mail_log_follows_an_index_of_its_own(connection: apsw.Connection) -> None:
    assert any("USING INDEX event_ended (id>?)" in step for step in plan(connection, "list_ended"))
    assert any(step.startswith("SEARCH e USING INTEGER PRIMARY KEY") for step in plan(connection, "read_ended"))


@pytest.mark.parametrize("account", ["1", "account_id = :account_id"])
def test_waiting_destinations_are_found_along_the_indexes_of_what_waits(connection: apsw.Connection, account: str) -> None:
    steps = []
    for name in ("list_waiting_destinations", "sample_of_destination", "page_destination"):
        statement = SQL[name].where(account).sqlite
        values = dict.fromkeys(re.findall(r":(\w+)", statement))
        steps += [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()]
    of_deliveries = [step for step in steps if "delivery" in step and "SUBQUERY" not in step]
    assert [step for step in of_deliveries if not re.search(r"INDEX delivery_(turn|leased|held)|PRIMARY KEY", step)] == []
    if account == "1":
        assert any("COVERING INDEX delivery_turn" in step for step in of_deliveries)


@pytest.mark.parametrize("name", ["list_turns", "first_due_but", "list_captures", "has_captures"])
def test_accounts_and_classes_of_a_domain_are_found_by_steps_of_their_index(connection: apsw.Connection, name: str) -> None:
    steps = [step for step in plan(connection, name) if "delivery" in step and "INTEGER PRIMARY KEY" not in step]
    assert any("COVERING INDEX delivery_turn (domain=? AND account_id=? AND class>?)" in step for step in steps), steps
    assert any("COVERING INDEX delivery_turn (domain=? AND account_id>?)" in step for step in steps), steps
    assert [step for step in steps if step.startswith("SCAN") and step != "SCAN delivery USING COVERING INDEX delivery_turn"] == []


def test_what_is_due_of_an_account_and_class_is_found_along_their_index(connection: apsw.Connection) -> None:
    steps = plan(connection, "list_due_of_turn")
    assert any("INDEX delivery_turn (domain=? AND account_id=? AND class=? AND due_at<?)" in step for step in steps)
    assert [step for step in steps if "TEMP B-TREE" in step] == []


def test_notifications_of_a_message_are_found_by_its_events(connection: apsw.Connection) -> None:
    steps = plan(connection, "list_notifications_of")
    assert any("notification_event (event_id=?)" in step for step in steps)
    assert any("event_message (message_id=?)" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN")] == []


def test_what_goes_first_and_lanes_are_found_along_indexes(connection: apsw.Connection) -> None:
    assert any("COVERING INDEX delivery_turn (domain=?)" in step for step in plan(connection, "count_ahead"))
    assert any("INDEX lane_updated (updated_at>?)" in step for step in plan(connection, "list_lanes"))
    assert [step for step in plan(connection, "find_lanes") if step.startswith("SCAN") and "json_each" not in step] == []


@pytest.mark.parametrize(
    ("which", "index"),
    [
        (QueueFilter(domain="one.test"), "delivery_turn"),
        (QueueFilter(domain="one.test", account_id=ACCOUNT), "delivery_turn"),
        (QueueFilter(message_ids=(MessageId(1),), states=frozenset(DeliveryState)), "delivery_message"),
    ],
)
def test_deliveries_of_a_change_are_found_along_an_index(connection: apsw.Connection, which: QueueFilter, index: str) -> None:
    conditions = queue_conditions(which)
    if which.domain:
        conditions.add("d.state = 'queued'")
    found = connection.execute("EXPLAIN QUERY PLAN " + conditions.of(MAIL["find_in_queue"]).sqlite, conditions.values).fetchall()
    steps = [str(row[3]) for row in found]
    assert any(index in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN d")] == []


def test_open_jobs_are_found_along_their_index(connection: apsw.Connection) -> None:
    assert any("bulk_job_open" in step for step in plan(connection, "list_open_bulk_jobs"))
    for name in ("list_bulk_jobs", "read_bulk_batch", "get_bulk_job", "insert_bulk_batch"):
        assert [step for step in plan(connection, name) if step.startswith("SCAN") and step != "SCAN bulk_job"] == []
