"""Which deliveries are claimed: the oldest due, without looking at a dead domain's backlog again and again."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.message import MessageClass
from sendryd.store.base import MessageFilter
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.sqlite import FILE_NAME, SqliteConnection
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import fetch_rows, fetch_value
from sendryd.store.errors import TookTooLong
from sendryd.store.sql.mail import claims
from sendryd.store.sql.mail.claims import DueScan
from sendryd.store.sql.mail.queries import SQL
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine import migrate
from sendryd.testing.examples import examples
from sendryd.testing.samples import ACCOUNT, NOW, Samples

START = 1_000_000_000_000  # milliseconds
DOMAINS = ["a.test", "b.test", "c.test"]
NOBODY: frozenset[str] = frozenset()


@dataclass
class Row:
    number: int
    domain: str
    due_at: int
    account: int = 0
    priority: MessageClass = MessageClass.TRANSACTIONAL


@cache
def migrated() -> SqliteConnection:
    """An empty database, for others to copy."""
    made = SqliteConnection(":memory:")
    migrate.apply(made)
    return made


class Queue:
    """A queue in a database, and the scan over it."""

    def __init__(self, sizes: Sizes = USUAL) -> None:
        self.connection = SqliteConnection(":memory:")
        with self.connection.backup("main", migrated(), "main") as copy:
            copy.step()
        self.connection.execute(
            "INSERT INTO message (id, account_id, mode, reverse_path, author, recipients, subject, internet_message_id, size, created_at,"
            " needs_smtputf8, is_8bit, segment, position) VALUES (1, 1, 'live', '', '', '[[],[]]', '', '', 0, 0, 0, 0, 1, 0)"
        )
        self.scan = DueScan(sizes)
        self.rows: dict[int, Row] = {}
        self.leased: list[Row] = []
        self.now = START

    def add(
        self, domain: str, due_at: int, count: int = 1, *, account: int = 0, priority: MessageClass = MessageClass.TRANSACTIONAL
    ) -> None:
        first = len(self.rows) + len(self.leased) + 1
        rows = [Row(first + number, domain, due_at, account, priority) for number in range(count)]
        self.connection.executemany(
            "INSERT INTO delivery (id, message_id, forward_path, domain, state, due_at, created_at, account_id, class)"
            " VALUES (?, 1, '', ?, 'queued', ?, 0, ?, ?)",
            [(row.number, row.domain, row.due_at, row.account, row.priority.value) for row in rows],
        )
        self.rows |= {row.number: row for row in rows}
        if self.scan.is_behind(due_at):
            self.scan.look_again_at([domain])

    def due(self, busy: frozenset[str]) -> list[Row]:
        found = [row for row in self.rows.values() if row.due_at <= self.now and row.domain not in busy]
        return sorted(found, key=lambda row: (row.due_at, row.domain, row.number))

    def choose(self, limit: int, busy: frozenset[str] = NOBODY, per_domain: int = 1000) -> list[Row]:
        """Chooses and leases, and checks what must hold for any choice."""
        due = {row.number for row in self.due(busy)}
        look = self.scan.begin(self.now, limit, busy, per_domain)
        numbers = look.choose(self.connection)
        self.scan.finish(look)
        assert set(numbers) <= due
        assert len(set(numbers)) == len(numbers) <= limit
        assert numbers or not due
        chosen = [self.rows.pop(number) for number in numbers]
        assert max(Counter(row.domain for row in chosen).values(), default=0) <= per_domain
        self.connection.executemany("UPDATE delivery SET state = 'leased', lease_token = 1 WHERE id = ?", [(number,) for number in numbers])
        self.leased += chosen
        return chosen

    def release(self) -> None:
        self.connection.execute("UPDATE delivery SET state = 'queued', lease_token = NULL WHERE state = 'leased'")
        self.scan.look_again_at({row.domain for row in self.leased})
        self.rows |= {row.number: row for row in self.leased}
        self.leased.clear()


def greedy(due: list[Row], limit: int, per_domain: int) -> list[int]:
    """Due times of the oldest that may be taken."""
    shares: Counter[str] = Counter()
    taken: list[int] = []
    for row in due:
        if len(taken) < limit and shares[row.domain] < per_domain:
            shares[row.domain] += 1
            taken.append(row.due_at)
    return taken


domains = st.sampled_from(DOMAINS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), domains, st.integers(-40, 5), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.integers(1, 25)),
        st.tuples(st.just("choose"), st.integers(1, 5), st.frozensets(domains, max_size=2), st.integers(1, 3)),
        st.tuples(st.just("release")),
    ),
    max_size=25,
)


def play(queue: Queue, what: list[tuple[object, ...]], *, is_exact: bool) -> None:
    queue.add("z.test", queue.now)
    queue.now += 20_000
    queue.choose(1)  # the scan has come to somewhere
    for step in what:
        match step:
            case ("add", str() as domain, int() as delay, int() as count):
                queue.add(domain, queue.now + delay * 1000, count)
            case ("wait", int() as seconds):
                queue.now += seconds * 1000
            case ("choose", int() as limit, frozenset() as busy, int() as per_domain):
                due = queue.due(busy)
                chosen = queue.choose(limit, busy, per_domain)
                if is_exact:
                    assert sorted(row.due_at for row in chosen) == greedy(due, limit, per_domain)
            case _:
                queue.release()
    while queue.choose(2, NOBODY, 1):
        pass
    assert queue.due(NOBODY) == []


@settings(max_examples=examples(150), deadline=None)
@given(what=steps)
def test_the_oldest_due_are_chosen_and_none_is_missed(what: list[tuple[object, ...]]) -> None:
    play(Queue(), what, is_exact=True)


@settings(max_examples=examples(150), deadline=None)
@given(what=steps)
def test_none_is_missed_where_the_steps_are_small(what: list[tuple[object, ...]]) -> None:
    play(Queue(Sizes(due_step=2, due_window=2, due_remembered=1, due_lag=1000)), what, is_exact=False)


def test_a_dead_domains_backlog_is_passed_once() -> None:
    queue = Queue()
    queue.add("dead.test", START - 3_600_000, 40_000)
    queue.now = START
    ticks = 0

    def count() -> bool:
        nonlocal ticks
        ticks += 1
        return False

    queue.connection.set_progress_handler(count, 100)
    costs = []
    for number in range(5):
        queue.add(f"d{number}.test", queue.now, 20)
        ticks = 0
        assert [row.domain for row in queue.choose(20, frozenset({"dead.test"}))] == [f"d{number}.test"] * 20
        costs.append(ticks)
        queue.now += 5000
    assert costs[0] > 1000  # hundreds of instructions: all of the backlog
    assert max(costs[1:]) < 100
    assert len(queue.choose(20)) == 20  # no more dead: its oldest are due first
    assert {row.domain for row in queue.leased[-20:]} == {"dead.test"}


@pytest.mark.parametrize("backlog", [1_000, 100_000])
def test_a_backlog_keeps_no_other_account_waiting_and_costs_no_more_than_a_small_one(backlog: int) -> None:
    queue = Queue()
    queue.add("big.test", START - 3_600_000, backlog, account=1, priority=MessageClass.BULK)
    queue.now = START
    ticks = 0

    def count() -> bool:
        nonlocal ticks
        ticks += 1
        return False

    queue.connection.set_progress_handler(count, 1000)
    assert len(queue.choose(200, per_domain=50)) == 50
    assert ticks < 500  # thousands of instructions: those of 10,000 deliveries that one statement steps over
    queue.add("big.test", START, account=2)
    queue.add("big.test", START, account=1, priority=MessageClass.OTP)
    ticks = 0
    chosen = queue.choose(50, per_domain=50)
    assert ticks < 500
    assert {(row.account, row.priority) for row in chosen[:4]} >= {(2, MessageClass.TRANSACTIONAL), (1, MessageClass.OTP)}
    assert len(chosen) == 50


def test_accounts_beyond_those_of_one_look_have_their_turn_in_the_next_ones() -> None:
    queue = Queue(Sizes(due_turns=2))
    for account in range(1, 8):
        queue.add("big.test", START - 60_000, 10, account=account)
    queue.now = START
    queue.choose(2, per_domain=2)
    counted = Counter(row.account for _ in range(14) for row in queue.choose(2, per_domain=2))
    assert len(counted) == 7
    assert max(counted.values()) <= min(counted.values()) + 3


def test_what_another_process_queues_with_an_old_time_is_found_later() -> None:
    queue = Queue()
    queue.add("a.test", START - 1000)
    queue.now = START + 60_000
    queue.choose(5)
    queue.connection.execute("UPDATE delivery SET state = 'queued', lease_token = NULL")
    queue.rows = {row.number: row for row in queue.leased}
    assert queue.scan.begin(queue.now, 5, NOBODY, 5).choose(queue.connection) == []
    queue.now += claims.RESTART_INTERVAL + 1
    assert len(queue.choose(5)) == 1


def test_a_clock_that_goes_back_hides_nothing() -> None:
    queue = Queue()
    queue.add("a.test", START - 3_600_000)
    queue.now = START + 3_600_000
    assert len(queue.choose(5)) == 1
    queue.now = START
    queue.add("b.test", START)
    assert len(queue.choose(5)) == 1


def test_a_look_that_is_cut_off_passes_nothing() -> None:
    queue = Queue()
    queue.add("a.test", START - 60_000)
    queue.add("b.test", START - 50_000)
    for _ in range(2):
        queue.scan.begin(START, 1, frozenset({"b.test"}), 1).choose(queue.connection)
    assert [row.domain for row in queue.choose(2)] == ["a.test", "b.test"]


async def test_test_mail_is_never_claimed(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    new = samples.message(mode=KeyMode.TEST)
    queued = tuple(replace(delivery, state=DeliveryState.QUEUED) for delivery in new.deliveries)
    await store.accept(replace(new, deliveries=queued))
    later = NOW + timedelta(hours=1)
    assert await store.claim_deliveries(now=later, lease=samples.lease(), limit=9, busy=NOBODY, per_domain=9) == []
    # Nor if it was chosen before.
    connection = SqliteConnection(str(tmp_path / FILE_NAME))
    values = {"token": 1, "node": "local", "boot": 2, "ids": f"[{queued[0].id}]", "moment": 1 << 62}
    assert fetch_rows(connection, SQL["lease_deliveries"], **values) == []
    connection.close()
    await store.aclose()


_ENDLESS = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT count(*) FROM number"
ENDLESS = Statement("endless", _ENDLESS, _ENDLESS)


async def test_searches_do_not_hold_up_claims_and_end_in_time(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path, sizes=Sizes(search_seconds=30.0)), Samples()
    await store.accept(samples.message(["a@one.test"]))
    searches = [asyncio.create_task(store._database.search(lambda connection: fetch_value(connection, ENDLESS))) for _ in range(8)]
    await asyncio.sleep(0)
    async with asyncio.timeout(25):  # less than the searches have
        claims = await store.claim_deliveries(now=NOW, lease=samples.lease(), limit=9, busy=frozenset(), per_domain=9)
        assert len(claims) == 1
        assert await store.due_at(busy=frozenset({"one.test"})) is None
    for search in searches:  # those who asked are gone
        search.cancel()
    await asyncio.gather(*searches, return_exceptions=True)
    hasty = open_store(tmp_path, sizes=Sizes(search_seconds=0.05))
    with pytest.raises(TookTooLong):
        await hasty._database.search(lambda connection: fetch_value(connection, ENDLESS))
    await hasty.aclose()
    assert len((await store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE), limit=9)).items) == 1
    await store.aclose()
