"""The table of the dialogue: what it says that RFC 5321 and its extensions say too."""

import itertools

import pytest

from sendryd.smtp.reply import ReplyClass
from sendryd.smtp.states import LEGAL, TRANSITIONS, State, Verb

REFUSALS = (ReplyClass.TRANSIENT, ReplyClass.PERMANENT)


@pytest.mark.parametrize("verb", [Verb.STARTTLS, Verb.MAIL, Verb.RCPT, Verb.DATA])
def test_a_refused_command_changes_nothing(verb: Verb) -> None:
    moves = [(before, after) for (before, each, answer), after in TRANSITIONS.items() if each is verb and answer in REFUSALS]
    assert moves
    assert all(before is after for before, after in moves)


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (State.GREETING, {Verb.CONNECT}),
        (State.START, {Verb.EHLO, Verb.HELO, Verb.RSET}),
        (State.READY, {Verb.EHLO, Verb.HELO, Verb.RSET, Verb.STARTTLS, Verb.AUTH, Verb.MAIL}),
        (State.AUTH, {Verb.AUTH}),
        (State.TLS, set()),
        (State.MAIL, {Verb.EHLO, Verb.HELO, Verb.RSET, Verb.RCPT}),
        (State.RCPT, {Verb.EHLO, Verb.HELO, Verb.RSET, Verb.RCPT, Verb.DATA, Verb.BDAT}),
        (State.DATA, {Verb.CONTENT}),
        (State.BDAT, {Verb.EHLO, Verb.HELO, Verb.RSET, Verb.BDAT, Verb.CONTENT}),
        (State.CLOSED, set()),
    ],
)
def test_what_is_in_order(state: State, verbs: set[Verb]) -> None:
    assert {verb for verb in Verb if (state, verb) in LEGAL} == verbs


def test_the_end_of_a_content_ends_its_transaction() -> None:
    for state, answer in itertools.product((State.DATA, State.BDAT), (ReplyClass.POSITIVE, *REFUSALS)):
        assert TRANSITIONS[state, Verb.CONTENT, answer] is State.READY


def test_every_state_is_reached_and_only_a_closed_one_is_left_by_nothing() -> None:
    reached = {State.GREETING}
    while more := {after for (before, _, _), after in TRANSITIONS.items() if before in reached} - reached:
        reached |= more
    assert reached == set(State)
    dead_ends = set(State) - {before for before, _, _ in TRANSITIONS}
    assert dead_ends == {State.CLOSED, State.TLS}  # a handshake leaves TLS, not a reply
