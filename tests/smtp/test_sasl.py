"""PLAIN and LOGIN, step by step."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.smtp.sasl import EMPTY_CHALLENGE, PASSWORD_CHALLENGE, USERNAME_CHALLENGE, Credentials, Exchange, UndecodableResponse
from sendryd.testing.cases import cases

word = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@given(word, word, word)
def test_plain_gives_user_and_password(authorisation: str, user: str, password: str) -> None:
    response = base64.b64encode(f"{authorisation}\0{user}\0{password}".encode())
    assert Exchange("PLAIN").start(response) == Credentials(user, password)
    waiting = Exchange("PLAIN")
    assert waiting.start(None) == EMPTY_CHALLENGE
    assert waiting.step(response) == Credentials(user, password)


@given(word, word)
def test_login_asks_for_one_after_the_other(user: str, password: str) -> None:
    exchange = Exchange("LOGIN")
    assert exchange.start(None) == USERNAME_CHALLENGE == b"334 " + base64.b64encode(b"Username:") + b"\r\n"
    assert exchange.step(base64.b64encode(user.encode())) == PASSWORD_CHALLENGE == b"334 " + base64.b64encode(b"Password:") + b"\r\n"
    assert exchange.step(base64.b64encode(password.encode())) == Credentials(user, password)


def test_login_may_begin_with_the_user() -> None:
    exchange = Exchange("LOGIN")
    assert exchange.start(b"dXNlcg==") == PASSWORD_CHALLENGE
    assert exchange.step(b"a2V5") == Credentials("user", "key")


def test_a_lone_equals_sign_is_an_empty_initial_response() -> None:
    assert Exchange("LOGIN").start(b"=") == PASSWORD_CHALLENGE
    with pytest.raises(UndecodableResponse):
        Exchange("PLAIN").start(b"=")


@cases(
    "response",
    [
        b"!!!!",
        b"AHgA eQ==",
        b"AHgAeQ",
        b"AHgAeQ==junk",
        b"AHgAeQ===",
        b"=AHgAeQ=",
        b"eHk=",
        b"AHg=",
        b"AAAA",
        b"AP8AeA==",
        b"",
        b"AHgAeQ\t==",
    ],
)
def test_what_cannot_be_decoded(response: bytes) -> None:
    with pytest.raises(UndecodableResponse):
        Exchange("PLAIN").step(response)


@given(st.binary(max_size=60), st.sampled_from(["PLAIN", "LOGIN"]))
def test_any_response_gives_an_answer_or_is_refused(response: bytes, mechanism: str) -> None:
    try:
        Exchange(mechanism).start(response)
    except UndecodableResponse as error:
        assert repr(response) not in str(error)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(Credentials("user", "secret"))
