"""Replies: what goes on the wire can never break out of its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.smtp.reply import EnhancedStatusCode, Reply, ReplyClass, make_reply
from sendryd.testing.cases import cases


def test_each_line_has_the_codes() -> None:
    reply = Reply(550, ("one", "two"), EnhancedStatusCode(5, 1, 1))
    assert reply.encoded == b"550-5.1.1 one\r\n550 5.1.1 two\r\n"
    assert str(reply) == "550 5.1.1 one / two"


@given(st.integers(200, 599), st.text(max_size=600))
def test_text_stays_on_its_line(code: int, text: str) -> None:
    encoded = Reply(code, text).encoded
    assert encoded.count(b"\r\n") == 1
    assert len(encoded) <= 512
    assert encoded.isascii()


@pytest.mark.parametrize("code", [0, 199, 600])
def test_other_codes_are_none(code: int) -> None:
    with pytest.raises(ValueError, match="not a reply code"):
        Reply(code, "x")


@cases("text", ["5.1", "6.1.1", "5.1.1 ", "5.01.1", "5.1.1000", ""])
def test_other_texts_are_no_enhanced_codes(text: str) -> None:
    with pytest.raises(ValueError, match="enhanced"):
        EnhancedStatusCode.parse(text)


@pytest.mark.parametrize(
    ("code", "reply_class"),
    [(250, ReplyClass.POSITIVE), (354, ReplyClass.MORE), (451, ReplyClass.TRANSIENT), (550, ReplyClass.PERMANENT)],
)
def test_classes(code: int, reply_class: ReplyClass) -> None:
    reply = Reply(code)
    assert reply.reply_class is reply_class
    assert [reply.is_positive, reply.is_more, reply.is_transient, reply.is_permanent].index(True) == reply_class - 2


def test_a_reply_without_text_is_whole() -> None:
    assert Reply(354).encoded == b"354 \r\n"
    assert Reply(250, ()).encoded == b"250 \r\n"


def test_equal_replies_are_equal_and_do_not_change() -> None:
    assert make_reply(550, "5.7.1", "No") == Reply(550, "No", EnhancedStatusCode.parse("5.7.1"))
    with pytest.raises(AttributeError):
        Reply(250).code = 251  # type: ignore[misc]


@given(st.integers(2, 5), st.integers(0, 999), st.integers(0, 999))
def test_enhanced_codes_print_as_they_are_read(status_class: int, subject: int, detail: int) -> None:
    if status_class == 3:
        return
    code = EnhancedStatusCode(status_class, subject, detail)
    assert EnhancedStatusCode.parse(str(code)) == code
