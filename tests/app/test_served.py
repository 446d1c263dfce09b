"""What commands learn of a running `serve`."""

from pathlib import Path

import pytest

from sendryd.app.served import LOCK_NAME, Served, note_served, read_served
from sendryd.app.values import Address


def test_addresses_are_read_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text('{"smtp": ["an older and longer one", 1], "http": ["x", 2]}', "utf-8")
    served = Served(Address("127.0.0.1", 2587), Address("::1", 8025))
    note_served(tmp_path, served)
    assert read_served(tmp_path) == served
    note_served(tmp_path, Served())
    assert read_served(tmp_path) == Served()


@pytest.mark.parametrize("text", [None, "", "x", "[]", '{"smtp": 1}', '{"smtp": ["x", "y"]}', '{"imap": ["x", 1]}', "\xff"])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / LOCK_NAME).write_bytes(text.encode("latin-1"))
    assert read_served(tmp_path) == Served()
