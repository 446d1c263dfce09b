"""How long a delivery waits that was leased when the program ended."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.crashes import CRASH_PAUSES, MAX_SPREAD, pause_after_crash

HELD_AFTER = len(CRASH_PAUSES)


def test_the_pauses_grow_and_so_do_the_distances() -> None:
    assert [pause for pause, _ in CRASH_PAUSES] == sorted({pause for pause, _ in CRASH_PAUSES})
    assert [distance for _, distance in CRASH_PAUSES] == sorted({distance for _, distance in CRASH_PAUSES})


def test_one_kill_of_a_busy_relay_puts_nothing_off() -> None:
    assert {pause_after_crash(1, place, 5000) for place in range(5000)} == {timedelta(0)}


@given(crashes=st.integers(1, 100), count=st.integers(1, 10_000), data=st.data())
def test_each_has_its_own_moment_and_none_waits_for_ever(crashes: int, count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, count - 1))
    wait = pause_after_crash(crashes, place, count)
    if crashes > HELD_AFTER:
        assert wait is None
        return
    assert wait is not None
    pause, distance = CRASH_PAUSES[crashes - 1]
    assert pause <= wait <= pause + MAX_SPREAD
    if distance and place:
        before = pause_after_crash(crashes, place - 1, count)
        assert before is not None
        assert before < wait
