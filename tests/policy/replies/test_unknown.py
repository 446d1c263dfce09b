"""Replies that no pattern knows, and what is kept of them."""

import time
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.unknown import MAX_READ, MAX_SHAPE, is_unknown, shape_of
from sendryd.policy.replies.verdict import Category, Kind, NetworkFailure, Scope, Verdict
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.smtp.timeouts import Step
from sendryd.testing.cases import cases

UNKNOWN: Final[dict[str, Any]] = {
    "kind": Kind.BOUNCED,
    "scope": Scope.RECIPIENT,
    "category": Category.OTHER,
    "enhanced": "5.0.0",
    "sentence": "",
}


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
    assert shape_of(found, "dan@example.net") == shape


@cases(
    ("text", "shape"),
    [
        ("ann.smith cannot receive this", "550 NAME cannot receive this"),
        ("Mail for ANN.SMITH refused here", "550 Mail for NAME refused here"),
        ("refused: ann.smith (at) Example.org", "550 refused: NAME (at) DOMAIN"),
        ("not accepted by ann.smith's rules", "550 not accepted by NAME's rules"),
        ("mailto:ann.smith%40example.org", "550 mailto:ADDRESS"),
        ("rcpt=ann.smith;example.org not wanted", "550 rcpt=NAME;DOMAIN not wanted"),
        ("User Ann Smith wants no mail from you", "550 User NAME wants no mail from you"),
        ("delivery into /home/ann.smith/Maildir/ fails", "550 delivery into PATH fails"),
        ("cannot open /var/mail/asmith now", "550 cannot open PATH now"),
        ("try later, ann-smith", "550 try later, NAME"),
        ("no <Ann.Smith+News@example.org>, and no ann.smith+news", "550 no ADDRESS, and no NAME"),
        ("Joann.smithson is no one", "550 Joann.smithson is no one"),
        ("mail.example.org says no", "550 mail.DOMAIN says no"),
    ],
)
def test_the_recipient_is_left_out_however_it_is_written(text: str, shape: str) -> None:
    assert shape_of(verdict(text), "ann.smith+News@example.org") == shape


def test_a_reply_names_no_recipient_where_it_is_cut() -> None:
    for length in range(MAX_READ - 20, MAX_READ + 1):
        assert "ann" not in shape_of(verdict(f"{'no, ' * (length // 4)}{'x' * (length % 4)} ann.smith"), "ann.smith@example.org")


@cases("piece", ["a", "-", "<", '"', "1a", "user ", "to:", "http://", "a:", "/=", "/a", "a@", "-.", "(a", "ann."])
def test_no_reply_takes_long(piece: str) -> None:
    began = time.process_time()
    for number in range(100):
        shape_of(verdict(f"{number} {piece * 400}"), "ann.ann.ann@example.org")
        shape_of(Verdict(**UNKNOWN, reply=Reply(550, tuple([f"{number}{piece * 500}"] * 100))), "ann.ann.ann@example.org")
    assert time.process_time() - began < 5


def test_known_replies_and_failures_are_not_unknown() -> None:
    assert not is_unknown(verdict("User unknown"))
    assert not is_unknown(verdict("x", enhanced=EnhancedStatusCode(5, 1, 1)))
    assert not is_unknown(verdict("Too many recipients", 452))
    assert not is_unknown(classify(NetworkFailure.CONNECT_REFUSED, step=Step.CONNECT))
    assert not is_unknown(classify(Reply(250, "ok"), step=Step.FINAL_DOT))


@given(st.text(min_size=1, max_size=900), st.emails())
def test_no_shape_has_an_address(text: str, address: str) -> None:
    shape = shape_of(verdict(f"{text} <{address}> {text}"), address)
    assert f"<{address}>" not in shape
    assert len(shape) <= MAX_SHAPE
