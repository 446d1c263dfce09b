"""Webhooks as rows, and what finding the notifications for them costs."""

import itertools
import re
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources

import apsw
import pytest

from sendryd.model.ids import WebhookId
from sendryd.model.webhook import MAIL_EVENTS, WebhookEvent
from sendryd.store.base import NotificationFilter, Standing
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.sql.webhooks.claiming import choose, lease_chosen
from sendryd.store.sql.webhooks.outbox import owe_events
from sendryd.store.sql.webhooks.queries import SQL
from sendryd.store.sql.webhooks.replaying import statement
from sendryd.store.sqlite.engine import migrate
from sendryd.testing.cases import cases
from sendryd.testing.samples import NOW, Samples

LATER = NOW + timedelta(minutes=5)
NOBODY: frozenset[WebhookId] = frozenset()
OUTBOX = resources.files("sendryd.store.sql.webhooks").joinpath("queries.sql").read_text("utf-8")


@pytest.fixture
def connection() -> Iterator[SqliteConnection]:
    made = SqliteConnection(":memory:")
    migrate.apply(made)
    yield made
    made.close()


def fill(connection: SqliteConnection, webhook_id: int, count: int, *, is_active: bool = True, due_at: int = 0) -> None:
    connection.execute(
        "INSERT INTO webhook (id, account_id, url, events, secret, is_active, created_at, updated_at)"
        " VALUES (?, 1, '', '[\"email.delivered\"]', '', ?, 0, 0)",
        (webhook_id, is_active),
    )
    rows = [(webhook_id, due_at)] * count
    connection.executemany(
        "INSERT INTO notification (webhook_id, account_id, type, due_at, created_at) VALUES (?, 1, 'email.delivered', ?, 0)", rows
    ).fetchall()


@pytest.mark.parametrize("why", ["busy", "switched off"])
def test_the_backlog_of_a_dead_webhook_is_not_looked_at(connection: SqliteConnection, why: str) -> None:
    fill(connection, 1, 20_000, is_active=why == "busy")
    fill(connection, 2, 20)
    ticks = itertools.count()
    connection.set_progress_handler(lambda: next(ticks) < 0, 100)
    busy = frozenset({WebhookId(1)}) if why == "busy" else NOBODY
    chosen = choose(connection, 1, 20, busy, 20)
    assert chosen == list(range(20_001, 20_021))
    assert next(ticks) < 10  # hundreds of instructions
    assert len(choose(connection, 1, 50, NOBODY, 30)) == (50 if why == "busy" else 20)
    assert next(ticks) < 30


def test_what_was_chosen_is_leased_once_and_only_for_an_active_webhook(connection: SqliteConnection) -> None:
    fill(connection, 1, 2)
    fill(connection, 2, 2)
    chosen = choose(connection, 1, 9, NOBODY, 9)
    connection.execute("UPDATE webhook SET is_active = 0 WHERE id = 1")  # between the choice and the lease
    lease = Samples().lease()
    assert [each.webhook.id for each in lease_chosen(connection, chosen, lease, Unreadable())] == [2, 2]
    assert lease_chosen(connection, chosen, lease, Unreadable()) == []


@cases("name", sorted(re.findall(r"-- name: (\w+)", OUTBOX)))
def test_no_statement_passes_a_whole_table(connection: SqliteConnection, name: str) -> None:
    statement = SQL[name].where("n.account_id = :account_id").sqlite
    values = dict.fromkeys(re.findall(r":(\w+)", statement))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()]
    passed = [step for step in plan if step in {"SCAN event", "SCAN notification", "SCAN webhook"}]
    # The oldest, as many as are to be deleted.
    assert passed == (["SCAN notification"] if name == "delete_notifications" else [])
    assert plan or SQL[name].sqlite.startswith("INSERT")


@pytest.mark.parametrize(
    ("standing", "index"),
    [(None, "notification_webhook"), (Standing.FAILING, "notification_failing"), (Standing.WAITING, "notification_webhook")],
)
def test_notifications_of_a_webhook_are_found_along_an_index(connection: SqliteConnection, standing: Standing | None, index: str) -> None:
    which = NotificationFilter(standing=standing, type=WebhookEvent.EMAIL_BOUNCED, status_code=500, start=NOW, end=LATER)
    for name in ("search_notifications", "count_notifications", "list_failing"):
        text = statement(name, which).sqlite
        plan = [
            str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(re.findall(r":(\w+)", text))).fetchall()
        ]
        assert any(f"SEARCH n USING INDEX {index} (webhook_id=?" in step for step in plan)
        assert {step for step in plan if step.startswith("SCAN n")} <= {"SCAN notification USING INDEX notification_leased"}


def test_mail_that_is_accepted_asks_for_no_webhooks(connection: SqliteConnection) -> None:
    connection.close()  # whoever asks fails
    row = {"id": 1, "type": "queued"}
    owe_events(connection, [row] * 3)
    with pytest.raises(apsw.ConnectionClosedError):
        owe_events(connection, [row, {"id": 2, "type": "delivered"}])


def test_the_words_of_mail_follow_from_its_events() -> None:
    assert {word.value for word in MAIL_EVENTS.values()} == {f"email.{event_type.value}" for event_type in MAIL_EVENTS}
