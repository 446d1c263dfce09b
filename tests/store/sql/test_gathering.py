"""What the writer waits for: nothing while few ask, as many as came before when many do."""

from sendryd.store.sql.gathering import FEW, GATHER_FACTOR, GATHER_TIME, MANY, PAUSE, Gathering


def serve(gathering: Gathering, clients: int, batches: int) -> list[int]:
    """Batches with so many clients, each of which waits for its answer before it asks again. Between two commits half of them have come."""
    sizes = []
    for _ in range(batches):
        have_come = max(1, clients // 2)
        is_late = have_come < gathering.target and clients < gathering.target
        size = clients if is_late else max(have_come, min(gathering.target, clients))
        gathering.note(size, did_time_out=is_late)
        sizes.append(size)
    return sizes


def test_while_few_ask_nothing_is_waited_for() -> None:
    gathering = Gathering()
    for size in (1, 2, FEW - 1, 1):
        gathering.note(size, did_time_out=False)
        assert gathering.target == 0


def test_with_many_clients_all_of_them_share_a_commit() -> None:
    sizes = serve(Gathering(), 20, 200)
    assert sizes[0] == 10
    assert set(sizes[10:]) == {20}


def test_more_is_asked_for_now_and_then_and_in_vain_only_then() -> None:
    gathering = Gathering()
    serve(gathering, 20, 10)
    in_vain = 0
    for _ in range(10 * (PAUSE + 2)):
        in_vain += gathering.target > 20
        serve(gathering, 20, 1)
    assert in_vain == 10


def test_clients_that_join_are_waited_for_too() -> None:
    gathering = Gathering()
    serve(gathering, 8, 20)
    assert serve(gathering, 30, 2 * PAUSE)[-1] == 30


def test_clients_that_leave_are_not_waited_for_again() -> None:
    gathering = Gathering()
    serve(gathering, 30, 20)
    serve(gathering, 8, 1)
    assert gathering.target == 8
    serve(gathering, 1, 1)
    assert gathering.target == 0


def test_no_more_is_asked_for_than_is_of_use() -> None:
    assert max(serve(Gathering(), 1000, 100)) == 500
    gathering = Gathering()
    gathering.note(500, did_time_out=False)
    assert gathering.target == MANY
    gathering.note(500, did_time_out=True)
    assert gathering.target == MANY
    gathering.note(500, did_time_out=False)
    assert gathering.target == MANY


def test_the_wait_is_no_longer_than_it_is_worth() -> None:
    gathering = Gathering()
    gathering.note_commit(0.0004)
    assert gathering.timeout == GATHER_FACTOR * 0.0004
    gathering.note_commit(2.0)
    assert gathering.timeout == GATHER_TIME


def test_those_who_pause_are_not_waited_for() -> None:
    """One message each 1.25 ms, and commits of half a millisecond: after a burst the writer is soon as quick as before it."""
    gathering, commit, gap = Gathering(), 0.0005, 0.00125
    gathering.note(10, did_time_out=False)
    for _ in range(5):
        gathering.note_commit(commit)
        size = 1 + int(gathering.timeout / gap)
        gathering.note(size, did_time_out=size < gathering.target)
    assert gathering.target == 0
