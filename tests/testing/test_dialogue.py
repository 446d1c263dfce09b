"""Dialogue files, as they are read."""

import pytest

from sendryd.testing.dialogue import DialogueStep, StepKind, parse_dialogue


def test_steps_of_a_dialogue() -> None:
    text = "# comment\nS: 220\n\nC: EHLO vm\nC:\nC> a\\r\\n\\x00\n!tls\n!eof\n!closed\n"
    assert parse_dialogue(text) == [
        DialogueStep(StepKind.EXPECT, b"220", 2),
        DialogueStep(StepKind.SEND, b"EHLO vm\r\n", 4),
        DialogueStep(StepKind.SEND, b"\r\n", 5),
        DialogueStep(StepKind.SEND, b"a\r\n\0", 6),
        DialogueStep(StepKind.TLS, b"", 7),
        DialogueStep(StepKind.EOF, b"", 8),
        DialogueStep(StepKind.CLOSED, b"", 9),
    ]


def test_a_line_that_is_no_step_is_named() -> None:
    with pytest.raises(ValueError, match="line 2 is no step"):
        parse_dialogue("S: 220\nX: what\n")
