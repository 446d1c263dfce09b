"""What the forms that unsubscribe say."""

import pytest

from sendryd.tracking.forms import is_confirmed, is_one_click


@pytest.mark.parametrize("value", ["One-Click", "one-click"])
def test_a_mailbox_provider_unsubscribes(value: str) -> None:
    assert is_one_click({"list-unsubscribe": value})
    assert not is_confirmed({"list-unsubscribe": value})


def test_somebody_presses_the_button() -> None:
    assert is_confirmed({"confirm": ""})
    assert not is_one_click({"confirm": "yes"})


def test_any_other_form_does_nothing() -> None:
    assert not is_one_click({"list-unsubscribe": "two"})
    assert not is_confirmed({})
