"""Contents: put in a transaction, read whole or in part by their places, dropped; never one in the place of another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sendryd.store.errors import ContentDamaged

from .backends import CONTENT_BACKENDS, ContentBackend, Contents

PIECE = 64 * 1024


def with_marks(*backends: ContentBackend) -> list[Any]:
    return [pytest.param(each, id=each.name, marks=each.marks) for each in backends]


@pytest.fixture(params=with_marks(*CONTENT_BACKENDS))
def contents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Contents]:
    backend: ContentBackend = request.param
    with backend.install(tmp_path / "data") as made:
        yield made


def put(contents: Contents, *new: tuple[int, bytes]) -> list[Any]:
    """One transaction with new contents."""
    contents.store.prepare(contents.connection)
    with contents.transaction():
        return list(contents.store.put_many(contents.connection, new))


def drop(contents: Contents, *places: Any) -> None:
    with contents.transaction():
        contents.store.drop(contents.connection, places)


class Failed(Exception):
    """What ends a transaction."""


def fail_to_put(contents: Contents, *new: tuple[int, bytes], is_certain: bool) -> list[Any]:
    """A transaction with new contents that does not commit."""
    contents.store.prepare(contents.connection)
    places: list[Any] = []
    with pytest.raises(Failed), contents.transaction():
        places += contents.store.put_many(contents.connection, new)
        raise Failed
    contents.store.take_back(is_certain=is_certain)
    return places


def is_read(contents: Contents, place: Any, content: bytes) -> bool:
    """Whether a content can be read, which then is the right one."""
    try:
        found = contents.store.read(place)
    except ContentDamaged:
        return False
    assert found == content
    return True


def test_contents_come_back_from_their_places(contents: Contents) -> None:
    new = [(1, b""), (2, b"x"), (3, b"y" * PIECE), (4, bytes(range(256)) * 2000)]
    first, second = put(contents, *new), put(contents, (5, b"later"))
    assert len(first) == 4
    for (_, content), place in zip([*new, (5, b"later")], [*first, *second], strict=True):
        assert contents.store.read(place) == content
        assert contents.reopen().read(place) == content


def test_nothing_to_put_is_no_place(contents: Contents) -> None:
    assert put(contents) == []


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (5, 9), (0, PIECE), (1, PIECE + 2), (3 * PIECE, 200_000), (0, 200_000)])
def test_a_part_is_read_in_pieces(contents: Contents, start: int, stop: int) -> None:
    content = bytes(number % 251 for number in range(200_000))
    _, place, _ = put(contents, (1, b"before"), (2, content), (3, b"after"))
    pieces = list(contents.store.read_range(place, start, stop))
    assert b"".join(pieces) == content[start:stop]
    assert all(0 < len(piece) <= PIECE for piece in pieces)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 7), (7, 7)])
def test_a_part_that_is_not_in_the_content(contents: Contents, start: int, stop: int) -> None:
    place, _ = put(contents, (1, b"before"), (2, b"after"))
    with pytest.raises(ValueError, match="are outside the content of 6"):
        list(contents.store.read_range(place, start, stop))


@pytest.mark.parametrize("is_certain", [True, False])
def test_rolled_back_contents_do_not_affect_others(contents: Contents, *, is_certain: bool) -> None:
    (kept,) = put(contents, (1, b"kept"))
    lost = fail_to_put(contents, (2, b"never"), (3, b"committed"), is_certain=is_certain)
    (after,) = put(contents, (4, b"after"))
    assert contents.store.read(kept) == b"kept"
    assert contents.store.read(after) == b"after"
    for place, content in zip(lost, (b"never", b"committed"), strict=True):
        is_read(contents, place, content)  # if at all, never another


def test_a_message_gets_another_content(contents: Contents) -> None:
    (old,) = put(contents, (1, b"first"))
    (new,) = put(contents, (1, b"other"))
    assert contents.store.read(old) == b"first"
    drop(contents, old)
    assert contents.store.read(new) == b"other"
    is_read(contents, old, b"first")


def test_contents_are_dropped_alone(contents: Contents) -> None:
    places = put(contents, *((number, b"%d" % number) for number in range(10)))
    drop(contents, *places[::2])
    for number in range(1, 10, 2):
        assert contents.store.read(places[number]) == b"%d" % number
    drop(contents, *places[1::2])
    drop(contents)


@pytest.mark.parametrize(
    "contents", with_marks(*(each for each in CONTENT_BACKENDS if each.name != "memory")), indirect=True
)  # which has no transactions
def test_what_is_dropped_in_a_transaction_that_fails_is_kept(contents: Contents) -> None:
    (place,) = put(contents, (1, b"kept"))
    with pytest.raises(Failed), contents.transaction():
        contents.store.drop(contents.connection, [place])
        raise Failed
    assert contents.reopen().read(place) == b"kept"
