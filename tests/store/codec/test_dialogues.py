"""Records of dialogues: what is read is what was written, and what is damaged is never read as something else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.dialogue import AttemptDialogue, DialogueLine, DialogueSession, Speaker
from sendryd.store.codec.dialogues import (
    HEADER,
    LEFT_OUT,
    MAX_LINE,
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
    lines = st.builds(DialogueLine, st.integers(0, 10**9), st.sampled_from(Speaker), texts)
    return st.builds(
        DialogueSession, host=words, address=words, port=st.integers(0, 65535), tls=texts, lines=st.lists(lines, max_size=8).map(tuple)
    )


def dialogues(texts: st.SearchStrategy[str], words: st.SearchStrategy[str]) -> st.SearchStrategy[AttemptDialogue]:
    moments = st.integers(0, 10**12).map(lambda ms: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
    return st.builds(AttemptDialogue, began_at=moments, sessions=st.lists(sessions(texts, words), max_size=3).map(tuple))


def one_line(text: str) -> AttemptDialogue:
    session = DialogueSession(host="mx.test", address="192.0.2.1", port=25, tls="", lines=(DialogueLine(1, Speaker.THEM, text),))
    return AttemptDialogue(began_at=BEGAN, sessions=(session,))


@given(dialogues(printable, names))
def test_what_is_printable_is_read_as_it_was_written(dialogue: AttemptDialogue) -> None:
    record = encode_dialogue(dialogue)
    assert read_length(record[:HEADER]) == len(record) - HEADER
    assert decode_dialogue(record) == dialogue


@given(dialogues(st.text(max_size=40), st.text(max_size=20)))
def test_any_text_keeps_the_number_of_sessions_and_lines(dialogue: AttemptDialogue) -> None:
    found = decode_dialogue(encode_dialogue(dialogue))
    assert [len(each.lines) for each in found.sessions] == [len(each.lines) for each in dialogue.sessions]
    assert all(line.text.isprintable() for each in found.sessions for line in each.lines)


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


@pytest.mark.parametrize(
    ("text", "shown"), [("a\r\nb", "a\\r\\nb"), ("\x1b[31m", "\\x1b[31m"), ("\u202eevil", "\\u202eevil"), ("köln", "köln")]
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert decode_dialogue(encode_dialogue(one_line(text))).sessions[0].lines[0].text == shown


def test_long_lines_are_cut_and_long_dialogues_end_with_a_note() -> None:
    line = DialogueLine(7, Speaker.THEM, "x" * 5000)
    session = DialogueSession(host="mx.test", address="192.0.2.1", port=25, tls="", lines=(line,) * 1000)
    record = encode_dialogue(AttemptDialogue(began_at=BEGAN, sessions=(session,)))
    lines = decode_dialogue(record).sessions[0].lines
    assert len(record) <= MAX_RECORD + 1000
    assert len(lines[0].text) == MAX_LINE
    assert lines[-1] == DialogueLine(7, Speaker.NOTE, LEFT_OUT)
