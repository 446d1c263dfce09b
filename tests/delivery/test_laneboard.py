"""What is published of lanes, and how often."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.laneboard import MAX_KNOWN, MAX_ROWS, LaneBoard, LanePublisher
from sendryd.delivery.lanes import Lanes
from sendryd.delivery.places import Places
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.sites import Sites
from sendryd.delivery.target import Target
from sendryd.model.lane import LaneSnapshot
from sendryd.policy.replies.verdict import Category, Kind, local_verdict
from sendryd.policy.throttle import FAILURES_TO_SUSPEND, Signal
from sendryd.policy.tls import OPPORTUNISTIC
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import Samples

SECOND = timedelta(seconds=1)
TAKEN = local_verdict(Kind.DELIVERED, Category.DELIVERED, "2.0.0", "250 ok")
SILENT = local_verdict(Kind.DEFERRED, Category.CONNECT_FAILURE, "4.4.1", "No answer")


class Board:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.lanes = Lanes(Places(), self.clock, Shaper(Sites(), self.clock), delays=(60.0,), has_smart_host=False)
        self.board = LaneBoard(self.lanes, self.clock)
        self.samples = Samples()

    def attempt(self, key: str, *hosts: str, fault: str = "") -> None:
        new = self.samples.message([f"u@{key}"])
        notes = AttemptNotes(self.clock.now(), self.clock.monotonic)
        for host in hosts:
            session = notes.begin(Target(host=host, address="192.0.2.1", port=25, tls=OPPORTUNISTIC), None)
            if fault:
                session.note_fault(fault)
        attempt = Attempt(claim=None, notes=notes, verdicts={new.deliveries[0].forward_path: SILENT if fault else TAKEN})  # type: ignore[arg-type]
        self.board.note(key, attempt)

    def suspend(self, key: str) -> None:
        for _ in range(FAILURES_TO_SUSPEND):
            self.lanes.note(self.lanes.open(key), Signal.BAD)

    def one(self) -> LaneSnapshot:
        (snapshot,) = self.board.take_changed()
        return snapshot


@pytest.fixture
def board() -> Board:
    return Board()


def test_a_lane_tells_what_its_last_attempt_tried_and_when_it_last_succeeded(board: Board) -> None:
    board.attempt("one.test", "mx1.one.test")
    first = board.one()
    assert (first.next_hop, first.per_minute, first.last_success, first.last_reply) == ("one.test", 1, board.clock.now(), "250 ok")
    board.clock.advance(10 * SECOND)
    board.attempt("one.test", "mx2.one.test", "mx3.one.test", fault="not connected: refused")
    second = board.one()
    assert [(each.host, each.fault) for each in second.servers] == [
        ("mx2.one.test", "not connected: refused"),
        ("mx3.one.test", "not connected: refused"),
        ("mx1.one.test", ""),
    ]
    assert (second.last_success, second.last_reply) == (first.last_success, "No answer")


def test_nothing_is_published_twice_and_figures_alone_only_now_and_then(board: Board) -> None:
    board.attempt("one.test", "mx.test")
    assert board.one().per_minute == 1
    assert board.board.take_changed() == []
    for _ in range(4):
        board.clock.advance(SECOND)
        board.attempt("one.test", "mx.test")
        assert [each.per_minute for each in board.board.take_changed() if each.per_minute == 1] == []
    board.clock.advance(SECOND)
    assert board.one().per_minute == 5


def test_the_rate_goes_down_by_itself_and_then_nothing_is_written(board: Board) -> None:
    for _ in range(60):
        board.attempt("one.test", "mx.test")
    assert board.one().per_minute == 60
    board.clock.advance(90 * SECOND)
    assert board.one().per_minute == 30
    board.clock.advance(30 * SECOND)
    assert board.one().per_minute == 0
    board.clock.advance(600 * SECOND)
    assert board.board.take_changed() == []


def test_a_suspension_is_published_at_once_with_one_moment(board: Board) -> None:
    board.suspend("one.test")
    until = board.one().suspended_until
    assert until == board.clock.now() + 60 * SECOND
    board.clock.advance(7.3 * SECOND)
    assert board.board.take_changed() == []
    board.clock.advance(60 * SECOND)
    assert board.one().suspended_until is None


def test_sessions_under_way_are_counted(board: Board) -> None:
    state = board.lanes.open("one.test")
    state.busy = 2
    assert (board.one().sending, state.lane.limit) == (2, 5)
    state.busy = 0
    assert board.one().sending == 0


def test_many_lanes_are_published_in_rounds(board: Board) -> None:
    for number in range(MAX_ROWS + 5):
        board.attempt(f"lane{number}.test", "mx.test")
    rounds = [{each.next_hop for each in board.board.take_changed()} for _ in range(3)]
    assert [len(each) for each in rounds] == [MAX_ROWS, 5, 0]
    assert rounds[0].isdisjoint(rounds[1])


def test_the_memory_is_bounded(board: Board) -> None:
    for number in range(MAX_KNOWN + 5):
        board.attempt(f"lane{number}.test")
    assert sum(len(board.board.take_changed()) for _ in range(MAX_KNOWN // MAX_ROWS + 1)) == MAX_KNOWN


class FailingStore(MemoryStore):
    is_failing = True

    async def put_lanes(self, lanes: Sequence[LaneSnapshot], **limits: object) -> None:
        if self.is_failing:
            raise StoreUnavailable("full")
        await super().put_lanes(lanes, **limits)  # type: ignore[arg-type]


async def test_what_could_not_be_written_is_written_later(board: Board) -> None:
    store = FailingStore()
    publisher = LanePublisher(board.board, store, board.clock)
    board.attempt("one.test", "mx.test")
    await publisher.publish()
    assert await store.find_lanes(["one.test"]) == []
    store.is_failing = False
    await publisher.publish()
    assert [each.per_minute for each in await store.find_lanes(["one.test"])] == [1]


async def test_the_next_owner_goes_on_from_a_suspension_and_its_end(board: Board) -> None:
    store, others = MemoryStore(), Board()
    for key in ("one.test", "theirs.test"):
        board.attempt(key, "mx.test", fault="no answer")
        board.suspend(key)
    board.attempt("busy.test", "mx.test")
    board.lanes.open("busy.test").busy = 1
    await LanePublisher(board.board, store, board.clock).publish()
    before = {each.next_hop: each for each in await store.find_lanes(["one.test", "theirs.test", "busy.test"])}
    for each in (board.clock, others.clock):
        await each.sleep(20.0)
    await LanePublisher(others.board, store, others.clock).take_over(lambda site: site != "theirs.test")
    assert others.lanes.is_suspended("one.test")
    assert not others.lanes.is_suspended("theirs.test")
    assert others.lanes.limit(others.lanes.open("one.test")) == 1, "it is probed when the suspension is over"
    after = {each.next_hop: each for each in await store.find_lanes(["one.test", "theirs.test", "busy.test"])}
    assert after["one.test"] == before["one.test"]
    assert after["theirs.test"] == before["theirs.test"]
    assert (before["busy.test"].sending, after["busy.test"].sending) == (1, 0)
    assert others.board.take_changed() == []
    await others.clock.sleep(40.0)
    assert not others.lanes.is_suspended("one.test")
    (snapshot,) = (each for each in others.board.take_changed() if each.next_hop == "one.test")
    assert (snapshot.suspended_until, snapshot.servers) == (None, before["one.test"].servers)


async def test_a_new_owner_begins_no_more_sessions_than_the_last_one_had(board: Board) -> None:
    store, others = MemoryStore(), Board()
    state = board.lanes.open("one.test")
    for _ in range(3):
        board.lanes.note(state, Signal.BAD)
    state.busy = 1
    await LanePublisher(board.board, store, board.clock).publish()
    await LanePublisher(others.board, store, others.clock).take_over(lambda _site: True)
    assert others.lanes.limit(others.lanes.open("one.test")) == board.lanes.limit(state) == 2
