"""The lines about a database that does not answer: one at the start, one a minute or of another reason, one at the end."""

import structlog

from sendryd.app.outage import OUTAGE_INTERVAL, QUIET, Outage
from sendryd.store.errors import Conflict, StoreFull, StoreUnavailable
from sendryd.testing.clock import ManualClock

AWAY = StoreUnavailable("the database at db:5432/mail cannot be reached: Connection refused")


async def test_an_outage_is_told_when_it_begins_each_minute_and_when_it_is_over() -> None:
    clock = ManualClock()
    outage = Outage(clock.monotonic)
    line = {"event": "not_claimed", "error": repr(AWAY)}
    with structlog.testing.capture_logs() as logs:
        assert not outage.is_told(line)
        for _ in range(150):
            assert outage.note(AWAY)
            assert outage.is_told(line)
            await clock.sleep(1.0)
        assert outage.note(None) is False
        assert not outage.is_told(line)
    assert [each["event"] for each in logs] == ["database_away", "database_still_away", "database_still_away", "database_back"]
    assert logs[0]["error"] == str(AWAY)
    assert (logs[1]["seconds"], logs[-1]["seconds"], logs[-1]["faults"]) == (OUTAGE_INTERVAL, 150, 150)
    assert logs[-1]["lines_left_out"] == 150


async def test_another_reason_is_told_soon_and_once() -> None:
    clock = ManualClock()
    outage = Outage(clock.monotonic)
    read_only = StoreUnavailable("the database at db:5432/mail takes no changes; connect to the primary server")
    with structlog.testing.capture_logs() as logs:
        outage.note(AWAY)
        for _ in range(20):
            outage.note(read_only)
            await clock.sleep(1.0)
    assert [(each["event"], each["error"]) for each in logs] == [("database_away", str(AWAY)), ("database_still_away", str(read_only))]


async def test_an_answer_between_faults_ends_no_outage() -> None:
    clock = ManualClock()
    outage = Outage(clock.monotonic)
    with structlog.testing.capture_logs() as logs:
        outage.note(AWAY)
        for _ in range(5):
            await clock.sleep(QUIET / 2)
            assert outage.note(None)
            outage.note(AWAY)
        await clock.sleep(QUIET)
        assert not outage.note(None)
    assert [each["event"] for each in logs] == ["database_away", "database_back"]


def test_other_lines_are_not_left_out() -> None:
    outage = Outage(ManualClock().monotonic)
    outage.note(AWAY)
    assert outage.is_told({"event": "counts_failed", "exc_info": AWAY})
    assert outage.is_told({"event": "not_claimed", "error": repr(StoreFull("the disk is full"))})
    for line in ({"event": "not_stored", "error": repr(Conflict("twice"))}, {"event": "started"}, {"event": "failed", "exc_info": True}):
        assert not outage.is_told(line)
