"""The client machine: dialogues, the rules that a peer breaks, those that we may not break, cuts."""

import itertools
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sendryd.smtp import client_commands
from sendryd.smtp.client import (
    MAX_LINE,
    MAX_LINES,
    MAX_REPLY,
    MAX_TEXT,
    ClientConnection,
    Closed,
    ReplyReceived,
    make_reply,
    parse_single_line,
)
from sendryd.smtp.client_commands import DATA, NOOP, QUIT, RSET, STARTTLS, Command, ehlo, helo, mail, rcpt
from sendryd.smtp.errors import LocalProtocolError, RemoteProtocolError
from sendryd.smtp.events import NEED_DATA
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.smtp.states import Phase, Verb
from sendryd.smtp.timeouts import Step
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

MAIL, RCPT = mail("a@example.test"), rcpt("b@example.org")
GREETING = b"220 mx.example.org ESMTP\r\n"
OFFER = b"250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n"


def hear(machine: ClientConnection, data: bytes = b"") -> list[ReplyReceived | Closed]:
    """What the machine makes of these octets."""
    if data:
        machine.receive_data(data)
    events: list[ReplyReceived | Closed] = []
    while not isinstance(event := machine.next_event(), type):
        events.append(event)
        if isinstance(event, Closed):
            break
    return events


def say(machine: ClientConnection, *commands: Command) -> bytes:
    for command in commands:
        machine.send(command)
    return machine.data_to_send()


def greeted(offer: bytes = OFFER, *, encrypted: bool = False) -> ClientConnection:
    """A machine that has heard what the server offers."""
    machine = ClientConnection(encrypted=encrypted)
    hear(machine, GREETING)
    say(machine, ehlo("relay.test"))
    hear(machine, offer)
    assert machine.is_idle
    return machine


def in_text() -> ClientConnection:
    """One that has been told to go ahead with the message."""
    machine = greeted()
    say(machine, MAIL, RCPT, DATA)
    hear(machine, b"250 a\r\n250 b\r\n354 go\r\n")
    assert machine.phase is Phase.CONTENT
    return machine


def test_a_whole_dialogue() -> None:
    machine = ClientConnection()
    awaited = [machine.awaiting]
    assert hear(machine, GREETING) == [ReplyReceived(client_commands.GREETING, Reply(220, "mx.example.org ESMTP"))]
    assert say(machine, ehlo("relay.test")) == b"EHLO relay.test\r\n"
    awaited.append(machine.awaiting)
    hear(machine, OFFER)
    assert (machine.extensions.pipelining, machine.extensions.size, machine.extensions.smtputf8) == (True, 1000, False)
    assert say(machine, MAIL, RCPT, DATA) == b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    for reply in (b"250 2.1.0 Ok\r\n", b"250 2.1.5 Ok\r\n", b"354 Go\r\n"):
        awaited.append(machine.awaiting)
        hear(machine, reply)
    awaited.append(machine.awaiting)
    machine.send_content(b"From: a@example.test\r\n\r\nbody\r\n")
    machine.end_content()
    awaited.append(machine.awaiting)
    assert machine.data_to_send() == b"From: a@example.test\r\n\r\nbody\r\n.\r\n"
    assert hear(machine, b"250 2.0.0 Queued\r\n") == [
        ReplyReceived(client_commands.CONTENT, Reply(250, "Queued", EnhancedStatusCode(2, 0, 0)))
    ]
    assert machine.is_idle
    assert say(machine, QUIT) == b"QUIT\r\n"
    awaited.append(machine.awaiting)
    hear(machine, b"221 2.0.0 Bye\r\n")
    assert machine.phase is Phase.CLOSING
    machine.receive_data(b"")
    assert hear(machine) == [Closed()]
    assert awaited == [Step.GREETING, Step.EHLO, Step.MAIL, Step.RCPT, Step.DATA, Step.DATA_BLOCK, Step.FINAL_DOT, Step.QUIT]


def test_replies_are_paired_with_their_commands_in_order() -> None:
    machine = greeted()
    commands = [MAIL, *(rcpt(f"u{number}@example.org") for number in range(5)), DATA]
    say(machine, *commands)
    events = hear(machine, b"".join(b"5%02d x\r\n" % number for number in range(7)))
    assert [(event.command, event.reply.code) for event in events if isinstance(event, ReplyReceived)] == [
        (command, 500 + number) for number, command in enumerate(commands)
    ]


BROKEN = {
    "a reply to nothing": (GREETING + b"250 again\r\n", "a reply came to nothing"),
    "a line without a code": (b"SSH-2.0-OpenSSH_9.2\r\n", "no valid code"),
    "empty lines without end": (b"\r\n" * (MAX_LINES + 1), "too many lines"),
    "two replies to one command": (b"220 mx\r\n\r\n250 again\r\n", "a reply came to nothing"),
    "a code that is none": (b"620 mx\r\n", "no valid code"),
    "a code below all classes": (b"120 mx\r\n", "no valid code"),
    "digits of another script": ("٢٢٠ mx\r\n".encode(), "no valid code"),
    "a line without end": (b"220 " + b"x" * MAX_REPLY, "too long"),
    "a line over the limit of a reply": (b"220 " + b"x" * MAX_REPLY + b"\r\n", "too long"),
    "lines without end": (b"220-x\r\n" * (MAX_LINES + 1), "too many lines"),
    "lines without a code and without end": (b"220-x\r\n" + b"x\r\n" * MAX_LINES, "too many lines"),
    "too much in few lines": ((b"220-" + b"x" * 2000 + b"\r\n") * 140, "too long"),
    "an intermediate greeting": (b"354 go\r\n", "no answer to greeting"),
}


def assert_nothing_more_is_said(machine: ClientConnection) -> None:
    assert machine.phase is Phase.BROKEN
    assert machine.data_to_send() == b""
    assert not machine.is_idle
    for _ in range(2):
        machine.receive_data(b"250 friendly again\r\n")
        with pytest.raises(RemoteProtocolError):
            machine.next_event()
    acts: list[Callable[[], None]] = [
        lambda: machine.send(QUIT),
        lambda: machine.send_content(b"x\r\n"),
        machine.end_content,
        machine.tls_established,
    ]
    for act in acts:
        with pytest.raises(LocalProtocolError):
            act()
    assert machine.data_to_send() == b""


@cases("case", BROKEN)
def test_a_peer_that_breaks_the_rules_poisons_the_connection(case: str) -> None:
    data, reason = BROKEN[case]
    machine = ClientConnection()
    machine.receive_data(data)
    with pytest.raises(RemoteProtocolError, match=reason):
        while machine.next_event() is not NEED_DATA:
            pass
    assert_nothing_more_is_said(machine)


@cases(
    ("commands", "answer"),
    [
        ([MAIL], b"354 go\r\n"),
        ([RCPT], b"334 more\r\n"),
        ([NOOP], b"300 what\r\n"),
        ([MAIL, RCPT, DATA], b"250 a\r\n250 b\r\n250 taken already\r\n"),
        ([MAIL, RCPT, DATA], b"250 a\r\n250 b\r\n354 go\r\n250 taken before its end\r\n"),
        ([MAIL, RCPT, DATA], b"250 a\r\n250 b\r\n354 go\r\n354 go on\r\n"),
    ],
)
def test_a_code_that_cannot_answer_a_command_poisons_the_connection(commands: list[Command], answer: bytes) -> None:
    machine = greeted()
    say(machine, *commands)
    with pytest.raises(RemoteProtocolError):
        hear(machine, answer)
    assert_nothing_more_is_said(machine)


def test_an_answer_that_is_there_before_its_command_poisons_the_connection() -> None:
    machine = greeted()
    machine.receive_data(b"250 2.1.0 Ok\r\n")
    assert not machine.is_idle
    with pytest.raises(RemoteProtocolError):
        machine.send(MAIL)
    assert_nothing_more_is_said(machine)


def test_what_was_to_be_said_is_not_said_to_a_peer_that_broke_the_rules() -> None:
    machine = greeted()
    machine.send(MAIL)
    machine.receive_data(b"what?\r\n")
    with pytest.raises(RemoteProtocolError):
        machine.next_event()
    assert_nothing_more_is_said(machine)


def test_half_a_reply_leaves_no_idle_connection() -> None:
    machine = greeted()
    machine.receive_data(b"4")
    assert not machine.is_idle
    machine = greeted()
    say(machine, NOOP)
    assert hear(machine, b"250-a\r\n") == []
    assert not machine.is_idle


@pytest.mark.parametrize("clear_text", [b"250 injected\r\n", b"2", b"\x16\x03\x01"])
def test_octets_in_the_buffer_at_the_handshake_poison_the_connection(clear_text: bytes) -> None:
    for is_same_flight in (True, False):
        machine = greeted()
        say(machine, STARTTLS)
        machine.receive_data(b"220 go\r\n" + (clear_text if is_same_flight else b""))
        assert isinstance(machine.next_event(), ReplyReceived)
        if not is_same_flight:
            machine.receive_data(clear_text)
        with pytest.raises(RemoteProtocolError):
            machine.tls_established()
        assert_nothing_more_is_said(machine)
        assert not machine.is_encrypted


def test_after_the_handshake_all_that_was_learned_is_forgotten() -> None:
    machine = greeted(b"250-mx\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
    say(machine, STARTTLS)
    assert machine.awaiting is Step.STARTTLS
    hear(machine, b"220 go\r\n")
    assert (machine.phase, machine.awaiting) == (Phase.TLS, Step.STARTTLS)
    with pytest.raises(LocalProtocolError):
        machine.send(ehlo("relay.test"))
    machine.tls_established()
    assert machine.is_encrypted
    assert not machine.extensions.pipelining
    assert not machine.extensions.auth
    with pytest.raises(LocalProtocolError, match="before EHLO"):
        machine.send(MAIL)
    say(machine, ehlo("relay.test"))
    hear(machine, b"250-mx\r\n250 SMTPUTF8\r\n")
    assert machine.extensions.smtputf8
    with pytest.raises(LocalProtocolError, match="inside TLS"):
        machine.send(STARTTLS)


def test_a_refused_starttls_leaves_clear_text() -> None:
    machine = greeted()
    say(machine, STARTTLS)
    hear(machine, b"454 4.7.0 Not now\r\n")
    with pytest.raises(LocalProtocolError):
        machine.tls_established()
    assert say(machine, MAIL) == MAIL.line


def test_sending_when_the_pipelining_rules_forbid_it() -> None:
    patient = greeted(b"250 mx\r\n")
    say(patient, MAIL)
    with pytest.raises(LocalProtocolError, match="before MAIL is answered"):
        patient.send(RCPT)
    hear(patient, b"250 Ok\r\n")
    assert say(patient, RCPT) == RCPT.line


@cases("last", [ehlo("relay.test"), STARTTLS, client_commands.AUTH_LOGIN, DATA, NOOP, QUIT])
def test_a_command_that_ends_its_group_is_followed_by_nothing(last: Command) -> None:
    machine = greeted()
    say(machine, last)
    for command in (MAIL, RCPT, RSET, DATA, NOOP, QUIT):
        with pytest.raises(LocalProtocolError, match="cannot be pipelined behind"):
            machine.send(command)
    assert machine.data_to_send() == b""


@pytest.mark.parametrize("command", [ehlo("relay.test"), MAIL, QUIT])
def test_nothing_is_said_before_the_greeting(command: Command) -> None:
    machine = ClientConnection()
    with pytest.raises(LocalProtocolError):
        machine.send(command)
    hear(machine, b"220-mx\r\n")
    with pytest.raises(LocalProtocolError):
        machine.send(command)


@pytest.mark.parametrize("command", [MAIL, RCPT, DATA, STARTTLS, client_commands.AUTH_LOGIN])
def test_who_has_not_greeted_says_nothing_else(command: Command) -> None:
    machine = ClientConnection()
    hear(machine, GREETING)
    with pytest.raises(LocalProtocolError, match="before EHLO"):
        machine.send(command)
    say(machine, ehlo("relay.test"))
    hear(machine, b"502 What?\r\n")
    with pytest.raises(LocalProtocolError, match="before EHLO"):
        machine.send(command)
    say(machine, helo("relay.test"))
    hear(machine, b"250 mx\r\n")
    assert not machine.extensions.pipelining
    assert say(machine, command) == command.line


@pytest.mark.parametrize("command", [client_commands.GREETING, client_commands.CONTENT])
def test_what_is_no_command_cannot_be_said(command: Command) -> None:
    with pytest.raises(LocalProtocolError, match="is not a command"):
        greeted().send(command)


def test_text_goes_between_354_and_the_lone_dot_only() -> None:
    early, late, machine = greeted(), in_text(), in_text()
    late.end_content()
    for wrong in (early, late):
        with pytest.raises(LocalProtocolError):
            wrong.send_content(b"x\r\n")
        with pytest.raises(LocalProtocolError):
            wrong.end_content()
    with pytest.raises(LocalProtocolError):
        machine.send(RSET)
    machine.end_content()
    assert machine.data_to_send() == b".\r\n"


@cases(
    ("pieces", "wire"),
    [
        ([], b".\r\n"),
        ([b""], b".\r\n"),
        ([b"a\r\n"], b"a\r\n.\r\n"),
        ([b"a"], b"a\r\n.\r\n"),
        ([b"a\r", b"\n"], b"a\r\n.\r\n"),
        ([b"a\r", b"", b"\n"], b"a\r\n.\r\n"),
        ([b"a\n"], b"a\n\r\n.\r\n"),
        ([b"a", b"\n"], b"a\n\r\n.\r\n"),
        ([b"\r\n", b"a"], b"\r\na\r\n.\r\n"),
    ],
)
def test_the_lone_dot_stands_on_a_line_of_its_own(pieces: list[bytes], wire: bytes) -> None:
    machine = in_text()
    for piece in pieces:
        machine.send_content(piece)
    machine.end_content()
    assert machine.data_to_send() == wire


def test_a_second_message_begins_with_nothing_of_the_first() -> None:
    machine = in_text()
    machine.send_content(b"a")
    machine.end_content()
    machine.data_to_send()
    hear(machine, b"250 Ok\r\n")
    say(machine, MAIL, RCPT, DATA)
    hear(machine, b"250 a\r\n250 b\r\n354 go\r\n")
    assert machine.awaiting is Step.DATA_BLOCK
    machine.end_content()
    assert machine.data_to_send() == b".\r\n"


def test_a_refusal_in_the_middle_of_the_text_ends_the_dialogue() -> None:
    machine = in_text()
    machine.send_content(b"a\r\n")
    (event,) = hear(machine, b"552 5.3.4 Too big\r\n")
    assert isinstance(event, ReplyReceived)
    assert (event.command.verb, event.reply.code, machine.phase) == (Verb.CONTENT, 552, Phase.CLOSING)
    with pytest.raises(LocalProtocolError):
        machine.end_content()
    with pytest.raises(LocalProtocolError):
        machine.send(RSET)


@pytest.mark.parametrize("answered", range(3))
def test_421_ends_the_dialogue_whatever_it_answers(answered: int) -> None:
    machine = greeted()
    say(machine, MAIL, RCPT, DATA)
    events = hear(machine, b"250 Ok\r\n" * min(answered, 2) + b"421 4.3.2 Stopping\r\n")
    assert isinstance(events[-1], ReplyReceived)
    assert events[-1].reply.code == 421
    assert machine.phase is Phase.CLOSING
    with pytest.raises(LocalProtocolError):
        machine.send(QUIT)


def test_what_follows_421_is_heard_and_changes_nothing() -> None:
    machine = greeted()
    say(machine, MAIL, RCPT, DATA)
    assert len(hear(machine, b"421 4.3.2 Stopping\r\n250 Ok\r\n354 go\r\n")) == 3
    assert machine.phase is Phase.CLOSING
    with pytest.raises(LocalProtocolError):
        machine.send_content(b"x\r\n")


def test_the_end_of_the_stream_is_told_behind_what_came_whole() -> None:
    machine = ClientConnection()
    machine.receive_data(GREETING + b"250 half")
    machine.receive_data(b"")
    assert isinstance(machine.next_event(), ReplyReceived)
    assert machine.next_event() == Closed()
    assert machine.next_event() == Closed()
    assert not machine.is_idle


def test_old_servers_end_lines_with_a_bare_lf() -> None:
    machine = ClientConnection()
    (event,) = hear(machine, b"220-mx\n220 ready\n")
    assert isinstance(event, ReplyReceived)
    assert event.reply == Reply(220, ("mx", "ready"))


@pytest.mark.parametrize("line", [b"220\r\n", b"220 \r\n", b"220-\r\n220\r\n"])
def test_a_reply_may_have_no_text(line: bytes) -> None:
    (event,) = hear(ClientConnection(), line)
    assert isinstance(event, ReplyReceived)
    assert event.reply.code == 220
    assert not any(event.reply.lines)


def test_a_line_as_long_as_the_limit_is_heard() -> None:
    (event,) = hear(ClientConnection(), b"220 " + b"x" * (MAX_LINE - 6) + b"\r\n")
    assert isinstance(event, ReplyReceived)
    assert event.reply.text == "x" * MAX_TEXT


ODD = {
    "the last code decides for the better": (b"250-queued as 1\r\n220 have a nice day\r\n", 220, "queued as 1 / have a nice day"),
    "the last code decides for the worse": (
        b"220-mx\r\n521 5.7.1 blocked using bl.example\r\n",
        521,
        "5.7.1 mx / blocked using bl.example",
    ),
    "the code changes twice": (b"250-a\r\n451-b\r\n550 c\r\n", 550, "a / b / c"),
    "the enhanced code of the class of the last line": (b"250-2.0.0 a\r\n550 5.1.1 b\r\n", 550, "5.1.1 2.0.0 a / b"),
    "four digits": (b"2500 ok\r\n", 250, "ok"),
    "four digits in several lines": (b"5500-no\r\n5500 user\r\n", 550, "no / user"),
    "no separator": (b"250ok\r\n", 250, "ok"),
    "a tab": (b"250\tok\r\n", 250, "ok"),
    "a code alone at the end of several lines": (b"550-5.1.1 gone\r\n550\r\n", 550, "5.1.1 gone / "),
    "a line without a code inside": (b"250-a\r\nor b\r\n250 c\r\n", 250, "a / or b / c"),
    "an empty line before": (b"\r\n \t\r\n250 a\r\n", 250, "a"),
    "an empty line inside": (b"250-a\r\n\r\n250 b\r\n", 250, "a / b"),
    "an empty line after": (b"250 a\r\n\r\n", 250, "a"),
    "a long line": (b"550 5.7.1 " + b"x" * 100_000 + b"\r\n", 550, "5.7.1 " + "x" * MAX_TEXT),
    "many lines": (b"550-5.1.1 no\r\n" * 200 + b"551 5.1.1 no\r\n", 551, "5.1.1 " + " / ".join(["no"] * 201)),
    "8-bit text in several lines": (b"550-G\xfcnther\r\n550 \xffist weg\r\n", 550, "G?nther / ?ist weg"),
}


@cases("case", ODD)
def test_a_reply_of_odd_form_counts_by_the_code_of_its_last_line(case: str) -> None:
    data, code, text = ODD[case]
    machine = greeted()
    say(machine, NOOP)
    (event,) = hear(machine, data)
    assert isinstance(event, ReplyReceived)
    assert (event.reply.code, str(event.reply)[4:][: len(text)]) == (code, text)
    assert machine.is_idle
    say(machine, NOOP)
    assert len(hear(machine, b"250 still in step\r\n")) == 1


LINES = st.tuples(
    st.integers(200, 599), st.sampled_from(["", "0", "12"]), st.binary(max_size=40).map(lambda text: re.sub(rb"^[0-9]|[\r\n]", b"", text))
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(LINES, min_size=1, max_size=8), st.sampled_from([b"\r\n", b"\n"]), st.integers(0, 3), st.booleans())
def test_any_form_of_reply_ends_with_the_first_line_that_does_not_go_on(
    lines: list[tuple[int, str, bytes]], line_end: bytes, empty: int, has_code_inside: bool
) -> None:
    *inner, (code, digits, text) = lines
    first = b"%d-first" % lines[0][0]
    codes = [b"%d%b-" % (code, digits.encode()) if has_code_inside else b"" for code, digits, _ in inner]
    middle = [code + b"x" + text for code, (_, _, text) in zip(codes, inner, strict=True)]
    last = b"%d%b %b" % (code, digits.encode(), text)
    wire = line_end.join([*([b""] * empty), first, *middle, last, *([b""] * empty), b""])
    for pieces in ([wire], [bytes([octet]) for octet in wire]):
        machine = greeted()
        say(machine, DATA if code // 100 == 3 else NOOP)
        events: list[object] = []
        for piece in pieces:
            events += hear(machine, piece)
        assert [event.reply.code for event in events if isinstance(event, ReplyReceived)] == [code]


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(MAX_LINE - 8, MAX_LINE + 8), st.lists(st.integers(1, MAX_LINE + 20), max_size=6), st.booleans())
def test_a_line_about_as_long_as_the_limit_may_be_cut_anywhere(size: int, places: list[int], has_cr_inside: bool) -> None:
    wire = (b"550 " + b"x" * size)[: size - 1] + (b"\r" if has_cr_inside else b"y") + b"\r\n250 next\r\n"
    replies = []
    for pieces in ([wire], cut(wire, places)):
        machine = greeted()
        say(machine, MAIL, RCPT)
        replies.append([event for piece in pieces for event in hear(machine, piece)])
    assert replies[0] == replies[1]
    assert len(replies[0]) == 2


def test_login_in_steps() -> None:
    machine = greeted(b"250-mx\r\n250 AUTH LOGIN\r\n")
    for command, answer in (
        (client_commands.AUTH_LOGIN, b"334 VXNlcm5hbWU6\r\n"),
        (client_commands.auth_answer("sendry"), b"334 UGFzc3dvcmQ6\r\n"),
        (client_commands.auth_answer("key"), b"235 2.7.0 Yes\r\n"),
    ):
        assert say(machine, command) == command.line
        assert machine.awaiting is Step.AUTH
        assert len(hear(machine, answer)) == 1
    assert machine.is_idle


@cases(
    ("code", "lines", "reply"),
    [
        (550, [b"5.1.1 No such user"], Reply(550, "No such user", EnhancedStatusCode(5, 1, 1))),
        (550, [b"5.1.1"], Reply(550, "", EnhancedStatusCode(5, 1, 1))),
        (550, [b"4.1.1 contradicts"], Reply(550, "4.1.1 contradicts")),
        (550, [b"5.1.1234 is none"], Reply(550, "5.1.1234 is none")),
        (550, [b"5.01.1 is none"], Reply(550, "5.01.1 is none")),
        (550, [b"no 5.1.1 code"], Reply(550, "no 5.1.1 code")),
        (550, [b"5.1.1 a", b"5.1.1 b", b"c"], Reply(550, ("a", "b", "c"), EnhancedStatusCode(5, 1, 1))),
        (550, [b"5.1.1 a", b"5.1.10 b"], Reply(550, ("a", "5.1.10 b"), EnhancedStatusCode(5, 1, 1))),
        (550, [b"a", b"5.7.1 b"], Reply(550, ("a", "b"), EnhancedStatusCode(5, 7, 1))),
        (550, [b"2.0.0 a", b"5.7.1 b"], Reply(550, ("2.0.0 a", "b"), EnhancedStatusCode(5, 7, 1))),
        (550, [b"5.7.1 a", b"5.7.1"], Reply(550, ("a", ""), EnhancedStatusCode(5, 7, 1))),
        (550, [b"G\xfcnther"], Reply(550, "G?nther")),
        (550, [b"\x1b[31mred\x00\x7f"], Reply(550, "\\x1b[31mred\\x00\\x7f")),
        (354, [b""], Reply(354, "")),
    ],
)
def test_a_reply_as_it_is_kept(code: int, lines: list[bytes], reply: Reply) -> None:
    assert make_reply(code, lines) == reply


def test_of_a_long_reply_the_beginning_is_kept() -> None:
    reply = make_reply(550, [b"x" * 700, b"y" * 700, b"z"])
    assert reply.lines == ("x" * 700, "y" * 300)


@pytest.mark.parametrize("line", [b"", b"250-more", b"25 x", b"650 x", b" 250 x"])
def test_what_is_no_reply_of_one_line(line: bytes) -> None:
    assert parse_single_line(line) is None


STAGES: list[tuple[list[Command], bytes]] = [
    ([], b"220-mx.example.org\r\n220 ESMTP\r\n"),
    ([ehlo("relay.test")], OFFER),
    ([MAIL, RCPT, rcpt("c@example.org"), DATA], b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550-5.1.1 No such\r\n550 5.1.1 user\r\n354 Go\r\n"),
    ([], b"250-2.0.0 Taken\n250 2.0.0 as 1\r\n"),
    ([QUIT], b"221 2.0.0 Bye\r\n"),
]


def run(pieces: list[list[bytes]]) -> tuple[list[object], str]:
    """What is heard when the answers of each stage come in these pieces."""
    machine, seen = ClientConnection(), list[object]()
    for (commands, _), answers in zip(STAGES, pieces, strict=False):
        if machine.phase is Phase.CONTENT:
            machine.send_content(b"body\r\n")
            machine.end_content()
        seen.append(say(machine, *commands))
        for piece in answers:
            seen += hear(machine, piece)
    seen += hear(machine)
    machine.receive_data(b"")
    return [*seen, *hear(machine)], repr(machine)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.integers(1, max(len(answer) for _, answer in STAGES)), max_size=20))
@example(list(range(1, 200)))
def test_cutting_the_octets_of_the_server_anywhere_changes_nothing(places: list[int]) -> None:
    whole = run([[answer] for _, answer in STAGES])
    codes = [event.reply.code for event in whole[0] if isinstance(event, ReplyReceived)]
    assert codes == [220, 250, 250, 250, 550, 354, 250, 221]
    assert run([cut(answer, places) for _, answer in STAGES]) == whole


FRAGMENTS = [
    b"220 mx\r\n", b"250-x\r\n", b"250 2.1.0 Ok\r\n", b"250 SIZE 10\n", b"354 go\r\n", b"550 5.1.1 no\r\n", b"421 bye\r\n", b"2500 x\r\n", b"250",
    b"\r\n", b"\n", b"\r", b"-", b" ", b"\xff", b"\0", b"x" * 600, b"999 x\r\n", b"",
]  # fmt: skip
ANY_OCTETS = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join))


def hear_all(stage: int, pieces: list[bytes]) -> tuple[list[object], str]:
    """What a machine at a stage makes of any octets: events, and whether the peer broke the rules."""
    machine, seen = ClientConnection(), list[object]()
    for commands, answer in STAGES[:stage]:
        say(machine, *commands)
        hear(machine, answer)
        if machine.phase is Phase.CONTENT:
            machine.end_content()
    if stage < len(STAGES):
        say(machine, *STAGES[stage][0])
    try:
        for piece in pieces:
            machine.receive_data(piece)
            while isinstance(event := machine.next_event(), ReplyReceived):
                seen.append(event)
        machine.receive_data(b"")
        assert machine.next_event() == Closed()
    except RemoteProtocolError as error:
        seen.append(str(error))
        assert_nothing_more_is_said(machine)
    return seen, machine.phase.value


@settings(max_examples=examples(300), deadline=None)
@given(ANY_OCTETS, st.lists(st.integers(1, 300), max_size=12), st.integers(0, len(STAGES)))
def test_any_octets_give_only_events_or_a_broken_rule_wherever_they_are_cut(data: bytes, places: list[int], stage: int) -> None:
    whole = hear_all(stage, [data] if data else [])
    assert hear_all(stage, cut(data, places)) == whole
    assert hear_all(stage, [bytes([octet]) for octet in data]) == whole
    for event in whole[0]:
        if isinstance(event, ReplyReceived):
            assert str(event.reply).isprintable()
            assert str(event.reply).isascii()


def test_a_machine_shows_where_it_stands() -> None:
    machine = ClientConnection()
    assert repr(machine) == "<ClientConnection open awaiting=greeting>"
    machine = greeted(encrypted=True)
    assert repr(machine) == "<ClientConnection open tls awaiting=nothing>"
    assert machine.awaiting is Step.RSET
    say(machine, MAIL, RCPT)
    assert repr(machine) == "<ClientConnection open tls awaiting=MAIL,RCPT>"


@pytest.mark.parametrize("answer", [b"354 go\r\n", b"nonsense\r\n"])
def test_a_dialogue_that_breaks_behind_the_lone_dot_says_that_a_message_was_sent(answer: bytes) -> None:
    machine = in_text()
    machine.end_content()
    with pytest.raises(RemoteProtocolError):
        hear(machine, answer)
    assert machine.awaiting is Step.FINAL_DOT


def test_a_dialogue_that_breaks_before_the_lone_dot_says_that_none_was() -> None:
    machine = in_text()
    machine.send_content(b"a\r\n")
    with pytest.raises(RemoteProtocolError):
        hear(machine, b"250 Ok\r\n")
    assert machine.awaiting is Step.DATA_BLOCK
