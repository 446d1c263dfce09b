"""Replies that no pattern knows, and what is kept of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.unknown import MAX_SHAPE, is_unknown, shape_of
from sendryd.policy.replies.verdict import NetworkFailure, Verdict
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.smtp.timeouts import Step


def verdict(text: str, code: int = 550, enhanced: EnhancedStatusCode | None = None) -> Verdict:
    return classify(Reply(code, text, enhanced), step=Step.RCPT)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Computer says no to <ann@example.org>", "550 Computer says no to ADDRESS"),
        ("ann.b+c@example.org: computer says no (q12345678-abc)", "550 ADDRESS: computer says no (ID)"),
        ("No from 192.0.2.1, see https://x.test/?id=1", "550 No from IP, see LINK"),
        ("Sorry 20261130 and 7", "550 Sorry ID and 7"),
        ("The moon is wrong for 12345", "550 The moon is wrong for N"),
        ("Nein\tund\x07 nochmals", "550 Nein und nochmals"),
        ('computer refuses "o brien"@example.org', "550 computer refuses ADDRESS"),
    ],
)
def test_what_differs_from_mail_to_mail_is_left_out(text: str, shape: str) -> None:
    found = verdict(text)
    assert is_unknown(found)
    assert shape_of(found) == shape


def test_known_replies_and_failures_are_not_unknown() -> None:
    assert not is_unknown(verdict("User unknown"))
    assert not is_unknown(verdict("x", enhanced=EnhancedStatusCode(5, 1, 1)))
    assert not is_unknown(verdict("Too many recipients", 452))
    assert not is_unknown(classify(NetworkFailure.CONNECT_REFUSED, step=Step.CONNECT))
    assert not is_unknown(classify(Reply(250, "ok"), step=Step.FINAL_DOT))


@given(st.text(min_size=1, max_size=900), st.emails())
def test_no_shape_has_an_address(text: str, address: str) -> None:
    shape = shape_of(verdict(f"{text} <{address}> {text}"))
    assert f"<{address}>" not in shape
    assert len(shape) <= MAX_SHAPE
