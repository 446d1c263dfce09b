"""The tables of both sides: what they say that RFC 5321 and its extensions say too."""

import ast
import itertools
from pathlib import Path

import pytest

from sendryd.smtp import states
from sendryd.smtp.errors import LocalProtocolError, RemoteProtocolError
from sendryd.smtp.reply import ReplyClass, make_reply
from sendryd.smtp.states import CLIENT_MOVES, SERVER_MOVES, SERVER_ORDER, ClientDialogue, Phase, ServerDialogue, State, Verb
from sendryd.testing.cases import cases

REFUSALS = (ReplyClass.TRANSIENT, ReplyClass.PERMANENT)


@pytest.mark.parametrize("verb", [Verb.STARTTLS, Verb.MAIL, Verb.RCPT, Verb.DATA])
def test_a_refused_command_changes_nothing(verb: Verb) -> None:
    moves = [(before, after) for (before, each, answer), after in SERVER_MOVES.items() if each is verb and answer in REFUSALS]
    assert moves
    assert all(before is after for before, after in moves)


@cases(
    ("state", "verbs"),
    [
        (State.GREETING, {Verb.GREETING}),
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
    assert {verb for verb in Verb if (state, verb) in SERVER_ORDER} == verbs


def test_the_end_of_a_content_ends_its_transaction() -> None:
    for state, answer in itertools.product((State.DATA, State.BDAT), (ReplyClass.POSITIVE, *REFUSALS)):
        assert SERVER_MOVES[state, Verb.CONTENT, answer] is State.READY


def test_every_state_is_reached_and_only_a_closed_one_is_left_by_nothing() -> None:
    reached = {State.GREETING}
    while more := {after for (before, _, _), after in SERVER_MOVES.items() if before in reached} - reached:
        reached |= more
    assert reached == set(State)
    dead_ends = set(State) - {before for before, _, _ in SERVER_MOVES}
    assert dead_ends == {State.CLOSED, State.TLS}  # a handshake leaves TLS, not a reply


def test_a_handshake_is_due_once() -> None:
    dialogue = ServerDialogue(is_encrypted=False)
    with pytest.raises(LocalProtocolError):
        dialogue.shake_hands()
    dialogue.decide(make_reply(220, "2.0.0", "x"))
    dialogue.ask(Verb.EHLO)
    dialogue.decide(make_reply(250, "2.0.0", "x"))
    dialogue.ask(Verb.STARTTLS)
    dialogue.decide(make_reply(220, "2.0.0", "x"))
    dialogue.shake_hands()
    assert (dialogue.state, dialogue.is_encrypted, dialogue.is_extended) == (State.START, True, False)
    with pytest.raises(LocalProtocolError):
        dialogue.shake_hands()


# The client's side.


@cases(
    ("phase", "verb", "code", "after"),
    [
        (Phase.OPEN, Verb.DATA, 354, Phase.CONTENT),
        (Phase.OPEN, Verb.DATA, 550, Phase.OPEN),
        (Phase.OPEN, Verb.STARTTLS, 220, Phase.TLS),
        (Phase.OPEN, Verb.STARTTLS, 454, Phase.OPEN),
        (Phase.OPEN, Verb.AUTH, 334, Phase.OPEN),
        (Phase.OPEN, Verb.QUIT, 221, Phase.CLOSING),
        (Phase.OPEN, Verb.QUIT, 550, Phase.CLOSING),
        (Phase.OPEN, Verb.MAIL, 421, Phase.CLOSING),
        (Phase.CLOSING, Verb.RCPT, 250, Phase.CLOSING),
        (Phase.CLOSING, Verb.DATA, 354, Phase.CLOSING),
        (Phase.CONTENT, Verb.CONTENT, 552, Phase.CLOSING),
        (Phase.SENT, Verb.CONTENT, 250, Phase.OPEN),
        (Phase.SENT, Verb.CONTENT, 554, Phase.OPEN),
        (Phase.SENT, Verb.CONTENT, 421, Phase.CLOSING),
    ],
)
def test_a_reply_moves_a_client(phase: Phase, verb: Verb, code: int, after: Phase) -> None:
    dialogue = ClientDialogue(is_encrypted=False)
    dialogue.phase = phase
    dialogue.hear(verb, code)
    assert dialogue.phase is after


@cases(("phase", "verb", "answer"), list(itertools.product(Phase, Verb, ReplyClass)))
def test_a_reply_to_a_client_is_in_the_table_or_breaks_the_dialogue(phase: Phase, verb: Verb, answer: ReplyClass) -> None:
    dialogue = ClientDialogue(is_encrypted=False)
    dialogue.phase = phase
    if (phase, verb, answer) in CLIENT_MOVES:
        dialogue.hear(verb, answer * 100 + 54)
        assert dialogue.phase is CLIENT_MOVES[phase, verb, answer]
    else:
        with pytest.raises(RemoteProtocolError):
            dialogue.hear(verb, answer * 100 + 54)
        assert dialogue.phase is Phase.BROKEN
        assert dialogue.fault


def test_a_client_leaves_a_broken_dialogue_by_nothing() -> None:
    assert not [before for before, _, _ in CLIENT_MOVES if before is Phase.BROKEN]
    assert {after for (before, _, _), after in CLIENT_MOVES.items() if before is Phase.CLOSING} == {Phase.CLOSING}


@cases("path", sorted(Path(states.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_nobody_else_changes_a_state(path: Path) -> None:
    """The attributes of a dialogue are assigned in `states.py` alone."""
    if path.name == "states.py":
        return
    owned = {*ServerDialogue.__slots__, *ClientDialogue.__slots__}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else []
        for target in targets:
            assert not (isinstance(target, ast.Attribute) and target.attr in owned), f"{path.name}:{node.lineno}"  # type: ignore[attr-defined]
