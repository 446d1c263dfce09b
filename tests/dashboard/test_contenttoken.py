"""Tokens of framed content."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sendryd.dashboard.contenttoken import ContentToken, mint, read
from sendryd.model.ids import AccountId, MessageId, PersonId

SECRET = b"s" * 32
TOKEN = ContentToken(account_id=AccountId(1), message_id=MessageId(2), person_id=PersonId(3), expires_at=datetime(2026, 5, 3, tzinfo=UTC))


def test_a_token_is_read_as_it_was_minted() -> None:
    for token in (TOKEN, replace(TOKEN, is_remote_shown=True), replace(TOKEN, is_whole=True)):
        assert read(SECRET, mint(SECRET, token)) == token
    assert read(b"other" * 8, mint(SECRET, TOKEN)) is None


@given(st.integers(0, 63), st.sampled_from("ABCxyz019-_=+/ é"))
def test_no_letter_can_be_changed(place: int, letter: str) -> None:
    text = mint(SECRET, TOKEN)
    changed = text[:place] + letter + text[place + 1 :]
    assert (read(SECRET, changed) is None) is (changed != text)


@given(st.text(max_size=70))
def test_no_other_text_is_one(text: str) -> None:
    assert read(SECRET, text) is None
