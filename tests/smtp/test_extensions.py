"""What an EHLO reply offers: ours, and how another's is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.smtp.extensions import NO_EXTENSIONS, Extensions, parse_extensions
from sendryd.smtp.profile import SUBMISSION
from sendryd.testing.cases import cases


def test_what_we_offer_is_read_back() -> None:
    lines = ["host", *SUBMISSION.keywords(max_message_size=1000, is_encrypted=True)]
    assert parse_extensions(lines) == Extensions(
        pipelining=True,
        size=1000,
        eightbitmime=True,
        smtputf8=True,
        dsn=True,
        enhancedstatuscodes=True,
        chunking=True,
        requiretls=True,
        auth=frozenset({"PLAIN", "LOGIN"}),
    )


def test_the_peers_name_is_no_extension() -> None:
    assert parse_extensions(["STARTTLS"]) == NO_EXTENSIONS == parse_extensions([])


@pytest.mark.parametrize(
    ("lines", "mechanisms"),
    [
        (["AUTH plain"], {"PLAIN"}),
        (["AUTH=LOGIN PLAIN"], {"LOGIN", "PLAIN"}),
        (["AUTH=LOGIN", "auth PLAIN"], {"LOGIN", "PLAIN"}),
        (["AUTH"], set()),
    ],
)
def test_mechanisms_in_each_spelling(lines: list[str], mechanisms: set[str]) -> None:
    assert parse_extensions(["mx", *lines]).auth == mechanisms


@cases(
    ("line", "size"),
    [
        ("SIZE", 0),
        ("SIZE x", 0),
        ("SIZE -1", 0),
        ("SIZE \u0665", 0),
        ("SIZE " + "9" * 21, 0),
        ("SIZE 5", 5),
        ("size  5 ", 5),
        ("SIZES 5", None),
    ],
)
def test_sizes_of_a_peer(line: str, size: int | None) -> None:
    assert parse_extensions(["mx", line]).size == size


@given(st.lists(st.text(max_size=40), max_size=10))
def test_any_lines_can_be_read(lines: list[str]) -> None:
    assert isinstance(parse_extensions(lines), Extensions)
