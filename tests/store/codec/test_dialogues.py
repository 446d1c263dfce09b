"""Records of dialogues: what is read is what was written, and what is damaged is never read as something else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.dialogue import AttemptDialogue, DialogueSession, Speaker, Spoken
from sendryd.store.codec.dialogues import (
    HEADER,
    LEFT_OUT,
    MAX_RECORD,
    DialogueUnreadable,
    decode_dialogue,
    encode_dialogue,
    read_length,
)

BEGAN = datetime(2026, 11, 29, 10, tzinfo=UTC)
printable = st.text(st.characters(categories=("L", "M", "N", "P", "S"), include_characters=" "), max_size=60).filter(str.isprintable)
names = printable.filter(lambda text: bool(text) and " " not in text)


def sessions(texts: st.SearchStrategy[str], words: st.SearchStrategy[str]) -> st.SearchStrategy[DialogueSession]:
    spoken = st.builds(Spoken, st.integers(0, 10**9), st.sampled_from(Speaker), st.binary(max_size=40) | st.just(b"\n@25 a b\t\n"))
    return st.builds(
        DialogueSession, host=words, address=words, port=st.integers(0, 65535), tls=texts, spoken=st.lists(spoken, max_size=8).map(tuple)
    )


def dialogues(texts: st.SearchStrategy[str], words: st.SearchStrategy[str]) -> st.SearchStrategy[AttemptDialogue]:
    moments = st.integers(0, 10**12).map(lambda ms: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
    return st.builds(AttemptDialogue, began_at=moments, sessions=st.lists(sessions(texts, words), max_size=3).map(tuple))


@given(dialogues(printable, names))
def test_what_was_said_is_read_as_it_was_written(dialogue: AttemptDialogue) -> None:
    record = encode_dialogue(dialogue)
    assert read_length(record[:HEADER]) == len(record) - HEADER
    assert decode_dialogue(record) == dialogue


@given(dialogues(st.text(max_size=40), st.text(max_size=20)))
def test_any_names_keep_the_sessions_and_what_was_said(dialogue: AttemptDialogue) -> None:
    found = decode_dialogue(encode_dialogue(dialogue))
    assert [each.spoken for each in found.sessions] == [each.spoken for each in dialogue.sessions]
    assert all(f"{each.host}{each.address}{each.tls}".isprintable() for each in found.sessions)


@given(dialogues(printable, names), st.data())
def test_a_torn_or_changed_record_is_unreadable(dialogue: AttemptDialogue, data: st.DataObject) -> None:
    record = encode_dialogue(dialogue)
    with pytest.raises(DialogueUnreadable):
        decode_dialogue(record[: data.draw(st.integers(0, len(record) - 1))])
    place, flip = data.draw(st.integers(0, len(record) - 1)), data.draw(st.integers(1, 255))
    changed = bytearray(record)
    changed[place] ^= flip
    with pytest.raises(DialogueUnreadable):
        decode_dialogue(bytes(changed))


@given(st.binary(max_size=200))
def test_any_octets_are_a_dialogue_or_unreadable(octets: bytes) -> None:
    try:
        decode_dialogue(octets)
    except DialogueUnreadable:
        pass


def test_a_long_dialogue_ends_with_a_note() -> None:
    said = Spoken(7, Speaker.THEM, b"x" * 5000)
    session = DialogueSession(host="mx.test", address="192.0.2.1", port=25, tls="", spoken=(said,) * 1000)
    record = encode_dialogue(AttemptDialogue(began_at=BEGAN, sessions=(session,)))
    found = decode_dialogue(record).sessions[0].spoken
    assert MAX_RECORD - 6000 < len(record) <= MAX_RECORD + HEADER
    assert found[:-1] == (said,) * (len(found) - 1)
    assert found[-1].octets == LEFT_OUT
