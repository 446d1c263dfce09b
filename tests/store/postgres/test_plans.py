"""The mail path of PostgreSQL stays fast with a long queue: each statement reads some pages for each row that it returns, and none a whole table.

The statistics are those of an empty queue, as they are when a queue has just grown: the planner then takes all that waits for one row or less.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import asyncpg
import pytest

from sendryd.store.drivers.postgres import ALONG_INDEXES
from sendryd.store.sql.mail.queries import SQL
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

DOMAINS: Final = 1000
QUEUED: Final = 100_000
MAIL: Final = f"""
INSERT INTO message (id, account_id, mode, reverse_path, author, recipients, subject, internet_message_id, size, created_at, needs_smtputf8, is_8bit,
    content_number)
SELECT n, n % 3, 'live', 'a@b.example', 'a@b.example', '[[],[]]', '', 'id', 1000, n, 0, 0, n FROM generate_series(1, {2 * QUEUED}) AS n;
INSERT INTO delivery (id, message_id, forward_path, domain, state, due_at, created_at, account_id, class, shard)
SELECT n, n, 'u@d' || n % {DOMAINS} || '.example', 'd' || n % {DOMAINS} || '.example', 'delivered', n, n, n % 3, 'transactional', n % {DOMAINS} % 256
FROM generate_series(1, {2 * QUEUED}) AS n;
"""
GROWN: Final = f"""
ALTER TABLE delivery DISABLE TRIGGER delivery_moves;
UPDATE delivery SET state = 'queued' WHERE id > {QUEUED};
"""
IDS: Final = json.dumps([QUEUED + 7 * number for number in range(1, 101)])
VALUES: Final[dict[str, Any]] = {
    "account_id": 1,
    "after": "cancelled",
    "after_account": -1,
    "after_class": "",
    "after_domain": "",
    "after_due_at": -1,
    "after_id": 0,
    "before": "queued",
    "boot": 2,
    "busy": json.dumps([f"d{number}.example" for number in range(0, DOMAINS, 2)]),
    "class": "transactional",
    "created_before": 10**9,
    "delivered_at": None,
    "domain": "d10.example",
    "due_at": None,
    "hold_note": None,
    "hold_reason": None,
    "id": QUEUED + 1,
    "ids": IDS,
    "is_attempt": 1,
    "late": 10**9,
    "latest": 10**9,
    "leaves_doubt": 0,
    "limit": 20,
    "message_id": QUEUED + 1,
    "moment": 10**9,
    "most": 64,
    "node": "node",
    "offset": 9999,
    "released_before": 0,
    "reply": "250 OK",
    "served": '[[1, "otp"]]',
    "settled": 10**9,
    "shards": json.dumps(list(range(256))),
    "spares_scheduled": 0,
    "state": "queued",
    "step": 10_000,
    "token": 1,
    "until": 10**9,
    "window": 512,
}
# The pages that each may read: a look-up in a tree of this size reads three or four. A whole index of what waits has some hundreds, and each of its rows
# is one more.
WALKS: Final = {  # in transactions that follow indexes
    "due_position": 10_500,  # `offset` rows
    "first_due_but": 5 * 3 * DOMAINS,
    "list_due": 1_500 + 10 * 512,  # the rows that are passed, and two look-ups for each that is returned
    "list_due_of_turn": 200,
    "list_turns": 30,
}
STATEMENTS: Final = {
    "first_due": 256 * 5,
    "get_messages": 4_000,
    "has_captures": 10,
    "lease_deliveries": 5_000,  # which changes a hundred rows, and their entries in the indexes
    "leased_deliveries": 4_000,  # like the next ones: rows that tests before have changed and rolled back are passed too
    "list_captures": 10,
    "list_dead_leases": 50,
    "list_due_reports": 50,
    "list_leased": 50,
    "list_overdue": 200,
    "list_overdue_otp": 10,
    "lock_states": 20,
    "move": 6_000,
    "read_content": 10,
    "record_outcome": 500,
    "release": 4_000,
    "return_leases": 4_000,
    "set_class": 6_000,
}


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A queue that has grown since the last look at it."""
    server = shared_server()
    name = server.new_database()
    for script in (MAIL, "VACUUM ANALYZE message", "VACUUM ANALYZE delivery", GROWN):
        server.run(script, name)
    yield server.url(name)
    server.drop_database(name)


async def explain(url: str, name: str, mode: str, *, follows_indexes: bool) -> tuple[str, int]:
    """The plan of a statement that was run, and the pages that it read."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            if follows_indexes:
                await connection.execute(ALONG_INDEXES)
            await connection.execute(f"SET LOCAL jit = off; SET LOCAL plan_cache_mode = {mode}; PREPARE asked AS {SQL[name].postgres}")
            asked = VALUES if name != "set_class" else {**VALUES, "after": "bulk"}
            values = ", ".join(literal(asked[parameter]) for parameter in SQL[name].parameters)
            rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) EXECUTE asked({values})")
    finally:
        await connection.close()
    plan = "\n".join(row[0] for row in rows)
    found = re.findall(r"^ *Buffers: (.*)", plan.partition("Planning:")[0], re.MULTILINE)
    if re.match(r"(?:Update|Insert|Delete) on", plan):  # how many pages its indexes take for the change depends on how full they are
        del found[0]
    return plan, max((sum(map(int, re.findall(r"(?:hit|read)=(\d+)", each))) for each in found), default=0)


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else f"'{value}'"


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("name", sorted(WALKS.keys() | STATEMENTS.keys()))
def test_statements_of_the_mail_path_read_few_pages(database: str, name: str, mode: str) -> None:
    plan, pages = asyncio.run(explain(database, name, mode, follows_indexes=name in WALKS))
    assert re.search(r"Seq Scan on (delivery|message)\b", plan) is None, plan
    assert pages <= {**WALKS, **STATEMENTS}[name], plan


@pytest.mark.parametrize("name", sorted(WALKS))
def test_claims_sort_nothing(database: str, name: str) -> None:
    plan, _ = asyncio.run(explain(database, name, "force_generic_plan", follows_indexes=True))
    assert "Sort" not in plan, plan
