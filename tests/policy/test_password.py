"""What a password may be."""

import pytest

from sendryd.policy.password import MAX_OCTETS, WeakPassword, check_password

COMMON = frozenset({"correct horse battery"})


@pytest.mark.parametrize("password", ["twelve chars", "ünïcödé pass", "a b c d e f g", "x" * 500 + "yz"])
def test_a_password_that_may_be_used(password: str) -> None:
    check_password(password, "ann@acme.example", COMMON)


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "too short"),
        ("ab" * MAX_OCTETS, "too long"),
        ("Correct Horse Battery", "most common"),
        ("ann@acme.example", "easy to guess"),
        ("aaaaaaaaaaaaaa", "easy to guess"),
    ],
)
def test_a_password_that_may_not(password: str, says: str) -> None:
    with pytest.raises(WeakPassword, match=says):
        check_password(password, "ann@acme.example", COMMON)
