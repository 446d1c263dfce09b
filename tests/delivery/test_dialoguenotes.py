"""What is noted of a session, and what never is."""

from datetime import timedelta

import pytest

from sendryd.delivery.dialoguenotes import MAX_HEARD, AttemptNotes
from sendryd.delivery.target import Target
from sendryd.model.dialogue import DialogueSession, Speaker
from sendryd.policy.tls import OPPORTUNISTIC
from sendryd.runtime.stream import TlsInfo
from sendryd.smtp import client_commands
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import NOW

TARGET = Target(host="mx.test", address="192.0.2.1", port=25, tls=OPPORTUNISTIC)


class Attempt:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.notes = AttemptNotes(NOW, self.clock.monotonic)
        self.session = self.notes.begin(TARGET, None)

    def end(self) -> DialogueSession:
        dialogue = self.notes.end()
        assert dialogue is not None
        return dialogue.sessions[0]

    def lines(self) -> list[tuple[int, str, str]]:
        return [(ms, speaker.value, text) for ms, speaker, text in self.end().lines]


def test_lines_are_as_they_went_over_the_wire_with_milliseconds() -> None:
    attempt = Attempt()
    attempt.clock.advance(timedelta(milliseconds=31))
    attempt.session.received(b"220 mx.test ESMTP\r\n")
    attempt.session.sent(client_commands.rcpt("judy@example.org"))
    attempt.clock.advance(timedelta(milliseconds=29))
    attempt.session.received(b"450-4.7.28  two  spaces\r\n450 with")
    attempt.clock.advance(timedelta(milliseconds=1))
    attempt.session.received(b"out\n")
    assert attempt.lines() == [
        (31, "<", "220 mx.test ESMTP"),
        (31, ">", "RCPT TO:<judy@example.org>"),
        (60, "<", "450-4.7.28  two  spaces"),
        (61, "<", "450 without"),
    ]


def test_a_challenge_is_stars_in_whatever_pieces_it_comes() -> None:
    attempt = Attempt()
    attempt.session.sent(client_commands.AUTH_LOGIN)
    for piece in (b"3", b"34 VXNl", b"cm5hbWU6\r\n334 UGF", b"zc3dvcmQ6"):
        attempt.session.received(piece)
    assert [text for _, _, text in attempt.lines()] == ["AUTH LOGIN ***", "334 ***", "334 ***"]


@pytest.mark.parametrize("ending", [b"", b"\r\n"])
def test_a_line_without_an_end_is_there(ending: bytes) -> None:
    attempt = Attempt()
    attempt.session.received(b"421 too man" + ending)
    assert attempt.lines() == [(0, "<", "421 too man")]


def test_passwords_and_challenges_are_stars() -> None:
    attempt = Attempt()
    attempt.session.sent(client_commands.auth_plain("user", "hunter2"))
    attempt.session.sent(client_commands.AUTH_LOGIN)
    attempt.session.received(b"334 VXNlcm5hbWU6\r\n")
    attempt.session.sent(client_commands.auth_answer("hunter2"))
    attempt.session.received(b"235 2.7.0 welcome\r\n")
    assert [text for _, _, text in attempt.lines()] == ["AUTH PLAIN ***", "AUTH LOGIN ***", "334 ***", "***", "235 2.7.0 welcome"]


def test_an_endless_reply_does_not_fill_the_memory() -> None:
    attempt = Attempt()
    for _ in range(100):
        attempt.session.received(b"250-" + b"x" * 10_000 + b"\r\n")
    assert sum(len(text) for _, _, text in attempt.lines()) < MAX_HEARD + 10_010


def test_tls_is_known_and_a_kept_connection_says_so_in_its_head_alone() -> None:
    tls = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    attempt, kept = Attempt(), Attempt()
    attempt.session.note_tls(tls)
    kept.session.note_tls(tls, is_kept=True)
    ended, ended_kept = attempt.end(), kept.end()
    assert ended.tls == ended_kept.tls == "TLSv1.3, TLS_AES_256_GCM_SHA384"
    assert (len(ended.lines), len(ended_kept.lines)) == (1, 0)


def test_what_is_said_after_the_end_is_not_noted() -> None:
    attempt = Attempt()
    attempt.session.sent(client_commands.DATA)
    assert attempt.lines() == [(0, Speaker.US.value, "DATA")]
    attempt.session.sent(client_commands.QUIT)
    attempt.session.received(b"221 bye\r\n")
    assert attempt.lines() == []


def test_an_attempt_without_a_session_has_no_dialogue() -> None:
    assert AttemptNotes(NOW, ManualClock().monotonic).end() is None
