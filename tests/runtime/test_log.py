"""No secret reaches a log."""

import os
import threading
from collections.abc import Iterator

import pytest

from sendryd.runtime.log import LogStream, Secret, redact

KEY = "sn_live_abcDEF0123456789abcDEF0123456789abcDEF01234"


def test_keys_in_any_text_are_starred() -> None:
    event = redact(None, "info", {"event": f"login with {KEY} failed", "line": f"x{KEY}y"})
    assert "abcDEF" not in str(event)
    assert event["line"] == "xsn_live_***"


def test_fields_named_as_secrets_are_starred() -> None:
    assert redact(None, "info", {"password": "hunter2", "authorization": "Bearer x"}) == {
        "password": "***",
        "authorization": "***",
    }


def test_secrets_are_starred_by_type_also_in_representations() -> None:
    secret = Secret("hunter2")
    assert redact(None, "info", {"url": secret})["url"] == "***"
    assert "hunter2" not in f"{[secret]!r}"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    for descriptor in (read_end, write_end):
        os.close(descriptor)


def test_a_reader_that_does_not_read_holds_nobody_up_and_is_told_what_it_missed(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    stream = LogStream(write_end)

    def write() -> None:
        for number in range(5000):
            stream.write(f"line {number} {'x' * 100}\n")

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    written = os.read(read_end, 1 << 20).decode()
    lines = written.splitlines()
    assert written.endswith("\n")
    assert lines == [f"line {number} {'x' * 100}" for number in range(len(lines))]
    stream.write("after\n")
    assert (
        os.read(read_end, 1 << 20).decode() == f"{5000 - len(lines)} lines of the log are missing here: nobody read them in time\nafter\n"
    )


def test_a_line_that_a_pipe_takes_only_in_part_is_ended_before_the_next(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    stream = LogStream(write_end)
    stream.write("y" * 100_000 + "\n")
    assert set(os.read(read_end, 1 << 20)) == {ord("y")}
    stream.write("next\n")
    assert os.read(read_end, 1 << 20).decode().splitlines()[0] == ""
    stream.write("z" * 10_000 + "\n")
    assert os.read(read_end, 1 << 20).decode() == "z" * 10_000 + "\n"


def test_a_reader_that_is_gone_harms_nobody() -> None:
    read_end, write_end = os.pipe()
    stream = LogStream(write_end)
    os.close(read_end)
    stream.write("lost\n")
    os.close(write_end)
    stream.write("lost too\n")
