"""The mark of a browser that a person has used before."""

import pytest

from sendryd.policy.devicemark import is_device_mark, make_device_mark

MARK = make_device_mark(b"secret", "ann@acme.example")


def test_a_mark_is_for_one_person_of_one_installation() -> None:
    assert is_device_mark(b"secret", " Ann@acme.example", MARK)
    assert not is_device_mark(b"secret", "bob@acme.example", MARK)
    assert not is_device_mark(b"another", "ann@acme.example", MARK)


@pytest.mark.parametrize("mark", ["", "1", MARK[:-1], f"{MARK}0", MARK.upper(), "\ud800"])
def test_another_text_is_no_mark(mark: str) -> None:
    assert not is_device_mark(b"secret", "ann@acme.example", mark)


def test_what_is_no_email_has_a_mark_too() -> None:
    assert not is_device_mark(b"secret", "\ud800", MARK)
