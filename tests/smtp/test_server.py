"""The server machine: dialogues, cuts, smuggling, injection, limits."""

import base64
import itertools
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sendryd.smtp.errors import LocalProtocolError
from sendryd.smtp.events import (
    NEED_DATA,
    PAUSED,
    Closed,
    Connected,
    ContentRefused,
    CredentialsOffered,
    DataEnded,
    DataRequested,
    Hello,
    MailFrom,
    RcptTo,
    StartTLSRequested,
)
from sendryd.smtp.reply import Reply, ReplyClass, make_reply
from sendryd.smtp.server import ServerConnection, ServerLimits
from sendryd.smtp.server_replies import OK
from sendryd.smtp.states import SERVER_MOVES, SERVER_ORDER, State, Verb
from sendryd.smtp.timeouts import Step
from sendryd.testing.cases import cases
from sendryd.testing.dialogue import StepKind, parse_dialogue
from sendryd.testing.examples import examples
from sendryd.testing.shell import AUTH, Shell

DIALOGUES = sorted((Path(__file__).parents[1] / "data" / "dialogues").glob("*.txt"))
MESSAGE = b"From: a@example.test\r\nSubject: x\r\n\r\nhello\r\n..dots\r\n"
SESSION = b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n" + MESSAGE + b".\r\nNOOP\r\n"


@cases("path", DIALOGUES, ids=lambda path: path.stem)
def test_dialogues(path: Path) -> None:
    shell = Shell()
    answer = shell.output
    for step in parse_dialogue(path.read_text("utf-8")):
        where = f"{path.name} line {step.line_number}"
        match step.kind:
            case StepKind.SEND:
                assert not answer, f"{where}: {answer!r} was not expected"
                answer = shell.feed(step.data)
            case StepKind.EXPECT:
                line, _, answer = answer.partition(b"\r\n")
                assert line.startswith(step.data), f"{where}: {line!r}"
            case StepKind.CLOSED:
                assert shell.machine.is_closed, where
            case StepKind.EOF:
                answer = shell.feed(b"")
            case StepKind.TLS:
                pass  # the shell has shaken hands


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.integers(1, len(SESSION) * 2 - 1), max_size=12))
def test_cutting_the_input_anywhere_changes_nothing(cuts: list[int]) -> None:
    whole = SESSION * 2
    edges = [0, *sorted(set(cuts)), len(whole)]
    one, many = Shell(encrypted=True).log_in(), Shell(encrypted=True).log_in()
    one.feed(whole)
    many.feed_all(whole[start:end] for start, end in itertools.pairwise(edges))
    assert many.events == one.events
    assert many.output == one.output
    assert one.contents == [MESSAGE.replace(b"..dots", b".dots")] * 2


FRAGMENTS = [
    b"EHLO vm\r\n", b"RSET\r\n", b"NOOP\r\n", b"BOGUS\r\n", b"NOOP\n", b"NOOP\r", b"\r\n", b"\n", b"\r", b".\r\n", b"\r\n.\r\n", b"\n.\r\n",
    b"MAIL FROM:<a@example.test>\r\n", b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\n", b"RCPT TO:<c@example.org>\r\n",
    b"RCPT TO:<d@example.org>\r\n", b"RCPT TO:<nodot>\r\n", b"DATA\r\n", b"DATA\r\nx\r\n", b"x\0", b"..", b"x" * 60, b"x" * 150 + b"\r\n",
    b"BDAT 3\r\n", b"BDAT 3\r\nab\r", b"BDAT 0 LAST\r\n", b"BDAT 4 LAST\r\nabc\n", b"BDAT 30\r\n", b"BDAT 999\r\n", b"BDAT\r\n",
    b"AUTH PLAIN\r\n", AUTH, b"AHNlbmRyeQBrZXk=\r\n", b"*\r\n", b"\x16\x03\x01", b"QUIT\r\n",
]  # fmt: skip
TIGHT = ServerLimits(
    max_message_size=20, max_recipients=2, max_faults=4, max_idle_commands=6, command_line=50, auth_line=30, content_piece=8
)


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join), st.lists(st.integers(1, 400), max_size=12), st.integers(0, 2))
def test_cutting_any_input_anywhere_changes_nothing(data: bytes, cuts: list[int], stage: int) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    one, many = (Shell(encrypted=stage > 0, limits=TIGHT) for _ in range(2))
    if stage > 1:
        one.log_in()
        many.log_in()
    one.feed(data)
    many.feed_all(data[start:end] for start, end in itertools.pairwise(edges))
    one.feed(b"")
    many.feed(b"")
    # One thing alone looks at what has come already: a client that sends content behind a DATA that is refused is cut off.
    assume(not any("refused DATA" in event.reason for event in one.events if isinstance(event, Closed)))
    assert many.events == one.events
    assert many.output == one.output


def test_octet_by_octet(shell: Shell) -> None:
    shell.feed_all(bytes([octet]) for octet in SESSION)
    assert shell.contents == [MESSAGE.replace(b"..dots", b".dots")]
    assert shell.output.endswith(b"250 2.0.0 Ok\r\n" * 2)


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3))
def test_any_bytes_in_any_state_give_events_and_nothing_else(data: bytes, stage: int) -> None:
    shell = Shell(encrypted=stage > 0)
    if stage > 1:
        shell.log_in()
    if stage > 2:
        shell.envelope()
    shell.feed(data)
    shell.feed(b"")
    assert shell.machine.is_closed
    assert isinstance(shell.events[-1], Closed)


@cases(("state", "verb"), list(itertools.product(State, Verb)))
@cases("reply_class", list(ReplyClass))
def test_every_reply_is_in_the_table_or_our_own_fault(state: State, verb: Verb, reply_class: ReplyClass) -> None:
    machine = ServerConnection(hostname="h", limits=ServerLimits())
    machine._dialogue.state, machine._dialogue.pending = state, verb
    reply = Reply(reply_class * 100 + 50 if reply_class != 3 else 354, "x")
    if (state, verb, reply_class) in SERVER_MOVES:
        machine.reply(reply)
        assert machine._dialogue.state is SERVER_MOVES[state, verb, reply_class]
    else:
        with pytest.raises(LocalProtocolError):
            machine.reply(reply)
    assert ((state, verb) in SERVER_ORDER) == any((state, verb, each) in SERVER_MOVES for each in ReplyClass)


def test_nothing_overtakes_a_decision() -> None:
    machine = ServerConnection(hostname="h", limits=ServerLimits(), encrypted=True)
    assert isinstance(machine.next_event(), Connected)
    machine.receive_data(b"EHLO vm\r\nNOOP\r\n")
    assert machine.next_event() is PAUSED
    assert machine.data_to_send() == b""
    machine.reply(Reply(220, "h"))
    assert machine.next_event() is not NEED_DATA
    assert machine.next_event() is PAUSED


def test_a_reply_to_nothing_is_our_fault() -> None:
    shell = Shell()
    with pytest.raises(LocalProtocolError):
        shell.machine.reply(OK)


SMUGGLED = b"MAIL FROM:<ok@example.test>\r\nRCPT TO:<x@example.org>\r\nDATA\r\nFrom: evil@example.test\r\n\r\nsmuggled\r\n..\r\n"
FALSE_ENDS = [
    b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r",
    b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\n\n.\n\n", b"\n\r.\n\r",
    b"\x0b.\x0b", b"\x85.\x85", b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\n..\r\n",
]  # fmt: skip


@pytest.mark.parametrize("variant", FALSE_ENDS, ids=repr)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_no_false_end_of_data_smuggles_a_message(shell: Shell, variant: bytes, size: int) -> None:
    shell.envelope()
    data = b"From: a@example.test\r\n\r\nbody" + variant + SMUGGLED + b"\r\n.\r\n"
    answer = shell.feed_all(data[start : start + size] for start in range(0, len(data), size))
    assert answer.count(b"\r\n") == 1
    assert answer[:4] in {b"250 ", b"550 ", b"554 "}
    assert len([event for event in shell.events if isinstance(event, MailFrom)]) == 1
    assert shell.feed(b"NOOP\r\n") == b"250 2.0.0 Ok\r\n"


def test_a_long_line_before_a_lone_dot_is_no_end(shell: Shell) -> None:
    shell.envelope()
    assert shell.feed(b"From: a@example.test\r\n\r\n" + b"a" * 70_000) == b""
    assert shell.feed(b".\r\nMAIL FROM:<evil@example.test>\r\n") == b""
    assert shell.feed(b".\r\n").startswith(b"250 ")
    assert len(shell.contents) == 1
    assert shell.contents[0].endswith(b"a.\r\nMAIL FROM:<evil@example.test>\r\n")


def test_an_end_in_five_pieces_is_the_end(shell: Shell) -> None:
    shell.envelope()
    shell.feed(b"From: a@example.test\r\n\r\nx")
    assert shell.feed_all([b"\r", b"\n", b".", b"\r"]) == b""
    assert shell.feed(b"\n").startswith(b"250 ")


def test_a_dot_as_the_very_first_line_ends_an_empty_message(shell: Shell) -> None:
    shell.envelope()
    assert shell.feed(b".\r\n").startswith(b"250 ")
    assert shell.contents == [b""]


@cases("behind", [b"RSET\r\n", b"EHLO evil\r\n", b"AUTH PLAIN AHgAeQ==\r\nMAIL FROM:<a@b>\r\n", b"QUIT\r\n", b"RS", b"\x16\x03\x01"])
def test_nothing_may_follow_starttls(behind: bytes) -> None:
    shell = Shell()
    shell.feed(b"EHLO vm\r\n")
    assert shell.feed(b"STARTTLS\r\n" + behind).startswith(b"501 5.5.1 ")
    assert shell.machine.is_closed


def test_everything_is_forgotten_after_the_handshake() -> None:
    shell = Shell()
    shell.feed(b"EHLO vm\r\nSTARTTLS\r\n".replace(b"STARTTLS\r\n", b""))
    shell.feed(b"STARTTLS\r\n")
    assert shell.feed(b"MAIL FROM:<a@example.test>\r\n").startswith(b"503 ")
    hello = shell.feed(b"EHLO vm\r\n")
    assert b"STARTTLS" not in hello
    assert b"AUTH PLAIN LOGIN" in hello
    assert shell.feed(b"STARTTLS\r\n").startswith(b"503 ")


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"CONNECT x:25 HTTP/1.0\r\n",
    ],
)
def test_other_protocols_are_closed_at_once(line: bytes) -> None:
    shell = Shell()
    assert shell.feed(line).startswith(b"500 ")
    assert shell.machine.is_closed


@pytest.mark.parametrize("data", [b"NOOP\n", b"NOOP\n\rMAIL FROM:<a@b>\r\n", b"NOOP\rRSET\r\n", b"EHLO x\nSTARTTLS\r\n"])
def test_bare_line_ends_in_commands_are_never_run(data: bytes) -> None:
    shell = Shell()
    assert shell.feed(data).startswith(b"500 ")
    assert shell.machine.is_closed
    assert shell.output.count(b"\r\n") == 2


def plain(user: bytes, key: bytes, authorisation: bytes = b"") -> bytes:
    return base64.b64encode(authorisation + b"\0" + user + b"\0" + key)


@pytest.mark.parametrize(
    "lines",
    [
        [b"AUTH PLAIN " + plain(b"sendry", b"key")],
        [b"auth plain " + plain(b"sendry", b"key", b"sendry")],
        [b"AUTH PLAIN", plain(b"sendry", b"key")],
        [b"AUTH LOGIN", base64.b64encode(b"sendry"), base64.b64encode(b"key")],
        [b"AUTH login " + base64.b64encode(b"sendry"), base64.b64encode(b"key")],
    ],
)
def test_ways_to_log_in(lines: list[bytes]) -> None:
    shell = Shell(encrypted=True)
    shell.feed(b"EHLO vm\r\n")
    answers = [shell.feed(line + b"\r\n") for line in lines]
    assert answers[-1].startswith(b"235 ")
    offered = shell.events[-1]
    assert isinstance(offered, CredentialsOffered)
    assert (offered.username, offered.password) == ("sendry", "key")
    assert "key" not in repr(offered)


def test_login_prompts_are_exact() -> None:
    shell = Shell(encrypted=True)
    shell.feed(b"EHLO vm\r\n")
    assert shell.feed(b"AUTH LOGIN\r\n") == b"334 VXNlcm5hbWU6\r\n"
    assert shell.feed(base64.b64encode(b"u") + b"\r\n") == b"334 UGFzc3dvcmQ6\r\n"


@cases("response", [b"!!!!", b"AG E=", b"AHgAeQ", b"eHk=", b"AAAA", base64.b64encode(b"\0\xff\0x"), b"AHgAeQ==junk"])
def test_responses_that_cannot_be_decoded(response: bytes) -> None:
    shell = Shell(encrypted=True)
    shell.feed(b"EHLO vm\r\n")
    assert shell.feed(b"AUTH PLAIN\r\n") == b"334 \r\n"
    assert shell.feed(response + b"\r\n").startswith(b"501 5.5.2 ")
    assert shell.feed(AUTH).startswith(b"235 ")


@pytest.mark.parametrize(
    ("line", "code"), [(b"AUTH", b"501"), (b"AUTH GSSAPI", b"504"), (b"AUTH CRAM-MD5", b"504"), (b"AUTH PLAIN a b", b"501")]
)
def test_mechanisms(line: bytes, code: bytes) -> None:
    shell = Shell(encrypted=True)
    shell.feed(b"EHLO vm\r\n")
    assert shell.feed(line + b"\r\n").startswith(code)


def test_auth_twice_and_in_a_transaction(shell: Shell) -> None:
    assert shell.feed(AUTH).startswith(b"503 ")
    shell.feed(b"MAIL FROM:<a@example.test>\r\n")
    assert shell.feed(AUTH).startswith(b"503 ")


def test_long_auth_lines_up_to_the_limit() -> None:
    shell = Shell(encrypted=True)
    shell.feed(b"EHLO vm\r\nAUTH PLAIN\r\n")
    response = base64.b64encode(b"\0u\0" + b"k" * 9_000)
    assert shell.feed(response + b"\r\n").startswith(b"235 ")
    other = Shell(encrypted=True)
    other.feed(b"EHLO vm\r\nAUTH PLAIN\r\n")
    assert other.feed_all([b"A" * 10_000, b"A" * 10_000, b"\r\n"]).startswith(b"500 5.5.6 ")
    assert other.feed(AUTH).startswith(b"235 ")


def test_an_over_long_line_is_one_fault_and_its_tail_is_not_run(shell: Shell) -> None:
    answer = shell.feed_all([b"NOOP " + b"a" * 70_000, b"MAIL FROM:<evil@example.test>", b"\r\n", b"NOOP\r\n"])
    assert answer == b"500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n"
    assert not any(isinstance(event, MailFrom) for event in shell.events)


def test_too_many_faults_close_the_session(shell: Shell) -> None:
    answers = shell.feed(b"BOGUS\r\n" * 30)
    assert answers.count(b"500 5.5.2") == ServerLimits().max_faults
    assert answers.endswith(b"421 4.7.0 Too many errors; closing\r\n")
    assert shell.machine.is_closed


def test_an_accepted_message_forgives_faults(shell: Shell) -> None:
    for _ in range(5):
        shell.feed(b"BOGUS\r\n" * 15)
        shell.envelope().feed(MESSAGE + b".\r\n")
    assert not shell.machine.is_closed


def test_bad_recipients_are_no_faults(shell: Shell) -> None:
    shell.feed(b"MAIL FROM:<a@example.test>\r\n")
    assert shell.feed(b"RCPT TO:<nobody@nodot>\r\n" * 100).count(b"501 5.1.3") == 100
    assert not shell.machine.is_closed


@cases("line", [b"NOOP\r\n", b"RSET\r\n", b"VRFY x\r\n", b"HELP\r\n", b"EHLO vm\r\n", b"HELO vm\r\n"])
def test_endless_commands_without_mail_are_ended(line: bytes) -> None:
    shell = Shell(encrypted=True, limits=ServerLimits(max_idle_commands=50)).log_in()
    assert shell.feed(line * 100).endswith(b"421 4.7.0 Too many commands without mail; closing\r\n")
    assert shell.machine.is_closed


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (b" SIZE=99999999999", b"552 5.3.4"),
        (b" SIZE=abc", b"501 5.5.4"),
        (b" SIZE=-1", b"501 5.5.4"),
        (b" SIZE=1_000", b"501 5.5.4"),
        (b" SIZE=+5", b"501 5.5.4"),
        ("\u0020SIZE=\u0663".encode(), b"501 5.5.4"),
        (b" SIZE=1 SIZE=2", b"501 5.5.4"),
        (b" FOO=BAR", b"555 5.5.4"),
        (b" BODY=BINARYMIME", b"501 5.5.4"),
        (b" RET=SOME", b"501 5.5.4"),
        (b" ENVID=" + b"a" * 101, b"501 5.5.4"),
        (b" AUTH=<>", b"250 "),
        (b" BODY=8BITMIME SMTPUTF8 SIZE=10 RET=HDRS ENVID=QQ314159", b"250 "),
    ],
)
def test_parameters_of_mail(shell: Shell, parameters: bytes, code: bytes) -> None:
    assert shell.feed(b"MAIL FROM:<a@example.test>" + parameters + b"\r\n").startswith(code)


def test_dsn_parameters_of_rcpt(shell: Shell) -> None:
    shell.feed(b"MAIL FROM:<a@example.test>\r\n")
    assert shell.feed(b"RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.org\r\n").startswith(b"250 ")
    rcpt = shell.events[-1]
    assert isinstance(rcpt, RcptTo)
    assert (rcpt.notify, rcpt.orcpt) == (frozenset({"SUCCESS", "FAILURE"}), "rfc822;b@example.org")
    for bad in (b"NOTIFY=NEVER,SUCCESS", b"NOTIFY=", b"NOTIFY=SOMETIMES", b"ORCPT=rfc822", b"ORCPT=rfc822;a+zz", b"FOO=1"):
        assert shell.feed(b"RCPT TO:<b@example.org> " + bad + b"\r\n")[:1] == b"5"


def test_recipients_over_the_limit_and_again() -> None:
    shell = Shell(encrypted=True, limits=ServerLimits(max_recipients=2)).log_in()
    shell.feed(b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n")
    assert shell.feed(b"RCPT TO:<b@EXAMPLE.org>\r\n").startswith(b"250 ")
    assert shell.feed(b"RCPT TO:<d@example.org>\r\n").startswith(b"452 4.5.3 ")


def test_content_over_the_limit_is_read_to_its_end() -> None:
    shell = Shell(encrypted=True, limits=ServerLimits(max_message_size=10_000)).log_in().envelope()
    line = b"x" * 76 + b"\r\n"
    for _ in range(200):
        assert shell.feed(line) == b""
    assert shell.machine.content_size < 70_000
    assert shell.feed(b".\r\n").startswith(b"552 5.3.4 ")
    assert isinstance(shell.events[-1], ContentRefused)
    shell.envelope().feed(MESSAGE + b".\r\n")
    assert len(shell.contents) == 1


def test_content_without_end_is_cut_off() -> None:
    shell = Shell(encrypted=True, limits=ServerLimits(max_message_size=100_000)).log_in().envelope()
    answer = b""
    for _ in range(100):
        answer += shell.feed(b"y" * 10_000)
    assert answer.startswith(b"421 ")
    assert shell.machine.is_closed


def test_content_that_is_not_wanted_is_dropped_and_refused_at_its_end(shell: Shell) -> None:
    shell.envelope()
    shell.feed(b"From: a@example.test\r\n\r\n" + b"z" * 200_000)
    shell.machine.refuse_content(make_reply(452, "4.3.1", "Busy"))
    assert shell.machine.content_size < 70_000
    shell.feed(b"z" * 200_000)
    assert shell.feed(b"\r\n.\r\n") == b"452 4.3.1 Busy\r\n"
    assert shell.contents == []


def test_content_sent_without_recipients_is_not_taken_for_commands(shell: Shell) -> None:
    shell.refuse = lambda event: make_reply(550, "5.1.1", "No") if isinstance(event, RcptTo) else None
    answer = shell.feed(b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nMAIL FROM:<evil@example.test>\r\n.\r\n")
    assert answer.endswith(b"554 5.5.1 No valid recipients\r\n")
    assert len([event for event in shell.events if isinstance(event, MailFrom)]) == 1


def test_pipelined_answers_come_in_order(shell: Shell) -> None:
    answer = shell.feed(SESSION)
    assert [line[:3] for line in answer.splitlines()] == [b"250", b"250", b"354", b"250", b"250"]


def test_bytes_behind_quit_are_not_run(shell: Shell) -> None:
    assert shell.feed(b"QUIT\r\nNOOP\r\n") == b"221 2.0.0 Bye\r\n"


def test_rset_forgets_the_recipients(shell: Shell) -> None:
    shell.feed(b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\nRSET\r\n")
    assert shell.feed(b"DATA\r\n").startswith(b"503 ")


@cases("name", [b"[127.0.0.1]", b"[IPv6:::1]", b"localhost", b"vm", b"a_b", b"<script>"])
def test_names_of_real_clients(name: bytes) -> None:
    shell = Shell()
    assert shell.feed(b"EHLO " + name + b"\r\n").startswith(b"250-")


@pytest.mark.parametrize("name", [b"", b"   ", b"a" * 256])
def test_names_that_are_none(name: bytes) -> None:
    assert Shell().feed(b"EHLO " + name + b"\r\n").startswith(b"501 ")


def test_key_that_is_no_longer_good(shell: Shell) -> None:
    def revoke(event: object) -> Reply | None:
        if not isinstance(event, MailFrom):
            return None
        shell.machine.deauthenticate()
        return make_reply(535, "5.7.8", "No")

    shell.refuse = revoke
    assert shell.feed(b"MAIL FROM:<a@example.test>\r\n").startswith(b"535 ")
    assert shell.feed(b"MAIL FROM:<a@example.test>\r\n").startswith(b"530 ")


def test_end_of_the_stream_in_content_stores_nothing(shell: Shell) -> None:
    shell.envelope().feed(b"From: a@example.test\r\n\r\nhalf")
    shell.feed(b"")
    assert shell.contents == []
    assert shell.machine.is_closed


BDAT = b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\n"


def test_chunks(shell: Shell) -> None:
    answer = shell.feed(BDAT + b"BDAT 6\r\nFrom: BDAT 13 LAST\r\na@b\r\n\r\n.\r\nx\r\nNOOP\r\n")
    assert [line[:3] for line in answer.splitlines()] == [b"250", b"250", b"250", b"250", b"250"]
    assert shell.contents == [b"From: a@b\r\n\r\n.\r\nx\r\n"]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_chunks_cut_anywhere(shell: Shell, size: int) -> None:
    data = BDAT + b"BDAT 8\r\nFrom: a\rBDAT 6 LAST\r\n\n\r\nhi\nNOOP\r\n"
    shell.feed_all(data[start : start + size] for start in range(0, len(data), size))
    assert shell.contents == [b"From: a\r\n\r\nhi\r\n"]


def test_an_empty_last_chunk(shell: Shell) -> None:
    shell.feed(BDAT + b"BDAT 4\r\nx\r\nyBDAT 0 LAST\r\n")
    assert shell.contents == [b"x\r\ny"]


@pytest.mark.parametrize("line", [b"BDAT", b"BDAT -1", b"BDAT x", b"BDAT 5 FIRST", b"BDAT 999999999999999999999"])
def test_a_chunk_of_no_known_size_ends_the_session(shell: Shell, line: bytes) -> None:
    shell.feed(BDAT)
    assert shell.feed(line + b"\r\n").startswith(b"501 ")
    assert shell.machine.is_closed


def test_a_refused_chunk_is_swallowed(shell: Shell) -> None:
    assert shell.feed(b"BDAT 13 LAST\r\nMAIL FROM:<x>NOOP\r\n").splitlines() == [b"503 5.5.1 Bad sequence of commands", b"250 2.0.0 Ok"]
    shell.feed(b"MAIL FROM:<a@example.test>\r\n")
    assert shell.feed(b"BDAT 4 LAST\r\nNOOP").startswith(b"554 5.5.1 ")


def test_data_and_chunks_do_not_mix(shell: Shell) -> None:
    shell.feed(BDAT + b"BDAT 2\r\nab")
    assert shell.feed(b"DATA\r\n").startswith(b"503 ")
    assert shell.feed(b"RSET\r\n").startswith(b"250 ")
    shell.envelope().feed(MESSAGE + b".\r\n")
    assert len(shell.contents) == 1


def test_malformed_chunks_are_refused_at_the_end(shell: Shell) -> None:
    assert shell.feed(BDAT + b"BDAT 5 LAST\r\na\0b\r\n").endswith(
        b"554 5.6.0 Message refused: it has a NUL character; encode binary content\r\n"
    )


def test_flags_of_content(shell: Shell) -> None:
    shell.envelope().feed("From: a@example.test\r\n\r\nä\r\n".encode() + b"b" * 999 + b"\r\nc\nd\r\n.\r\n")
    event = shell.events[-1]
    assert isinstance(event, DataEnded)
    assert event.is_8bit
    assert event.longest_line_over_998
    assert event.first_bare_lf is not None
    assert event.content[event.first_bare_lf :] == b"\r\nd\r\n"


@pytest.mark.parametrize(("length", "is_over"), [(998, False), (999, True)])
@pytest.mark.parametrize("size", [100_000, 333])
def test_where_a_line_is_too_long(shell: Shell, length: int, is_over: bool, size: int) -> None:
    shell.envelope()
    data = b"From: a@example.test\r\n\r\n" + (b"x" * length + b"\r\n") * 150 + b".\r\n"
    shell.feed_all(data[start : start + size] for start in range(0, len(data), size))
    event = shell.events[-1]
    assert isinstance(event, DataEnded)
    assert event.longest_line_over_998 is is_over


def test_a_chunk_from_a_stranger_ends_the_session() -> None:
    for encrypted in (False, True):
        shell = Shell(encrypted=encrypted)
        assert shell.feed(b"EHLO vm\r\nBDAT 99999999\r\n").endswith(b"\r\n")
        assert shell.output.splitlines()[-1].startswith(b"530 5.7.0 ")
        assert shell.machine.is_closed


def test_chunks_over_the_limit_are_refused_one_by_one() -> None:
    shell = Shell(encrypted=True, limits=ServerLimits(max_message_size=10)).log_in()
    answer = shell.feed(BDAT + b"BDAT 8\r\n12345678BDAT 8\r\n12345678BDAT 2 LAST\r\n90NOOP\r\n")
    assert [line[:9] for line in answer.splitlines()[2:]] == [b"250 2.0.0", b"552 5.3.4", b"552 5.3.4", b"250 2.0.0"]
    assert shell.contents == []
    assert isinstance(shell.events[-1], ContentRefused)


def test_a_chunk_of_far_too_many_octets_is_not_waited_for(shell: Shell) -> None:
    assert shell.feed(BDAT + b"BDAT 99999999999\r\n").splitlines()[-1].startswith(b"552 5.3.4 ")
    assert shell.machine.is_closed


def test_stray_chunks_without_end_are_faults(shell: Shell) -> None:
    assert shell.feed(b"BDAT 6\r\nNOOP\r\n" * 30).endswith(b"421 4.7.0 Too many errors; closing\r\n")


@pytest.mark.parametrize("data", [b"BDAT 5 LAST\r\nhel", b"BDAT 5\r\n", b"BDAT 3\r\nabc"])
def test_the_end_of_the_stream_in_or_between_chunks_stores_nothing(shell: Shell, data: bytes) -> None:
    shell.feed(BDAT + data)
    shell.feed(b"")
    assert shell.contents == []
    assert isinstance(shell.events[-1], Closed)


def test_rset_between_chunks_forgets_the_first(shell: Shell) -> None:
    shell.feed(BDAT + b"BDAT 5\r\nfirstRSET\r\n" + BDAT + b"BDAT 6 LAST\r\nsecond")
    assert shell.contents == [b"second"]


def test_chunks_that_are_not_wanted_are_dropped_and_refused(shell: Shell) -> None:
    shell.feed(BDAT + b"BDAT 10\r\n12345")
    shell.machine.refuse_content(make_reply(452, "4.3.1", "Busy"))
    answer = shell.feed(b"67890BDAT 2\r\nabBDAT 0 LAST\r\n")
    assert answer == b"452 4.3.1 Busy\r\n" * 3
    assert shell.contents == []


def test_a_greeting_that_refuses_ends_the_session() -> None:
    machine = ServerConnection(hostname="h", limits=ServerLimits())
    machine.receive_data(b"EHLO vm\r\n")
    assert isinstance(machine.next_event(), Connected)
    machine.reply(make_reply(554, "5.7.1", "Not you"))
    assert machine.next_event() == Closed("the session was refused: 554 5.7.1 Not you")
    assert machine.next_event() is NEED_DATA
    assert machine.data_to_send() == b"554 5.7.1 Not you\r\n"
    assert machine.data_to_send() == b""
    machine.receive_data(b"NOOP\r\n")
    assert machine.next_event() is NEED_DATA


def test_helo_is_no_way_to_extensions() -> None:
    clear, encrypted = Shell(), Shell(encrypted=True)
    assert clear.feed(b"HELO vm\r\nSTARTTLS\r\n").splitlines()[-1].startswith(b"503 ")
    assert encrypted.feed(b"HELO vm\r\n" + AUTH).splitlines()[-1].startswith(b"503 ")
    assert encrypted.feed(b"EHLO vm\r\n" + AUTH).splitlines()[-1].startswith(b"235 ")


def test_only_accepted_recipients_count() -> None:
    shell = Shell(encrypted=True, limits=ServerLimits(max_recipients=2)).log_in()
    shell.refuse = lambda event: make_reply(550, "5.1.1", "No") if isinstance(event, RcptTo) and "bad" in event.path.text else None
    shell.feed(b"MAIL FROM:<a@example.test>\r\n")
    assert shell.feed(b"RCPT TO:<bad@example.org>\r\nRCPT TO:<bad2@example.org>\r\n").count(b"550 ") == 2
    assert shell.feed(b"RCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n").count(b"250 ") == 2
    assert shell.feed(b"RCPT TO:<d@example.org>\r\n").startswith(b"452 4.5.3 ")
    assert shell.feed(b"RSET\r\n" + BDAT).count(b"250 ") == 3


SECRET = base64.b64encode(b"\0sendry\0" + b"s3cret" * 8)


@cases("stage", ["clear", "challenged", "cancelled", "undecodable", "refused", "unknown"])
def test_secrets_are_in_no_event_but_the_offer(stage: str) -> None:
    shell = Shell(encrypted=stage != "clear")
    shell.refuse = lambda event: make_reply(535, "5.7.8", "No") if isinstance(event, CredentialsOffered) else None
    shell.feed(b"EHLO vm\r\n")
    shell.feed({"unknown": b"AUTH CRAM-MD5", "refused": b"AUTH PLAIN " + SECRET}.get(stage, b"AUTH PLAIN") + b"\r\n")
    shell.feed({"cancelled": b"*\r\n"}.get(stage, b""))
    shell.feed(SECRET[:-1] + b"!\r\n" if stage == "undecodable" else SECRET + b"\r\n")
    shell.feed(b"PASS " + SECRET + b"\r\n" + SECRET + b" x\r\n")
    assert SECRET[:20].decode() not in repr(shell.events)
    assert SECRET[:20] not in shell.output
    assert "s3cret" not in repr(shell.events)


def test_wrong_keys_are_faults_in_the_end() -> None:
    shell = Shell(encrypted=True)
    shell.refuse = lambda event: make_reply(535, "5.7.8", "No") if isinstance(event, CredentialsOffered) else None
    shell.feed(b"EHLO vm\r\n")
    assert shell.feed(AUTH * 30).count(b"535 5.7.8 ") == ServerLimits().max_faults
    assert shell.machine.is_closed


@pytest.mark.parametrize("length", [512, 513, 1_000, 2_048, 2_049, 2_050, 12_288, 70_000, 200_000])
def test_lengths_of_command_lines(shell: Shell, length: int) -> None:
    code = b"250 2.0.0" if length <= ServerLimits().command_line else b"500 5.5.2"
    line = b"NOOP " + b"a" * (length - 5) + b"\r\n"
    assert shell.feed(line).startswith(code)
    assert shell.feed_all(line[start : start + 1000] for start in range(0, len(line), 1000)).startswith(code)
    assert shell.feed(b"NOOP\r\n") == b"250 2.0.0 Ok\r\n"


@pytest.mark.parametrize("is_with_command", [True, False])
@pytest.mark.parametrize(("excess", "code"), [(0, b"235 "), (1, b"500 5.5.")])
def test_lengths_of_auth_lines(is_with_command: bool, excess: int, code: bytes) -> None:
    shell = Shell(encrypted=True)
    shell.feed(b"EHLO vm\r\n")
    response = base64.b64encode(b"\0u\0" + b"k" * (12_288 // 4 * 3 - 3))
    assert len(response) == ServerLimits().auth_line
    if is_with_command:
        line = b"auth plain " + response + b"A" * excess * 64
    else:
        shell.feed(b"AUTH PLAIN\r\n")
        line = response + b"A" * excess
    assert shell.feed(line + b"\r\n").startswith(code)
    assert shell.feed(b"NOOP\r\n").startswith(b"250 ")


@cases(
    "line",
    [
        b"", b"   ", b"\0", b"\xe4\xf6", b" " * 1000 + b"NOOP", b"XCLIENT ADDR=127.0.0.1", b"XFORWARD NAME=x", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2",
        b"ETRN x", b"TURN", b"SEND FROM:<a@b>", b"DEBUG", b"WIZ", b"NOOPX", b"MAIL", b"RCPT", b"DATAX", b"BDATX 5",
    ],
)  # fmt: skip
def test_lines_that_are_no_commands(line: bytes) -> None:
    shell = Shell(encrypted=True)
    shell.feed(b"EHLO vm\r\n")
    assert shell.feed(line + b"\r\n")[:1] == b"5"
    assert not shell.machine.is_closed
    assert shell.feed(b"NOOP\r\n") == b"250 2.0.0 Ok\r\n"


def test_the_binary_proxy_header_runs_nothing() -> None:
    shell = Shell()
    shell.feed(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0cRSET\r\n")
    assert shell.machine.is_closed
    assert [line[:3] for line in shell.output.splitlines()] == [b"220", b"500", b"500", b"500", b"500"]


def test_a_handshake_is_seen_at_its_second_octet() -> None:
    shell = Shell()
    shell.feed(b"EHLO vm\r\n")
    assert shell.feed(b"\x16") == b""
    assert shell.feed(b"\x03").startswith(b"500 5.5.1 ")
    assert shell.events[-1] == Closed("the client spoke TLS at once: it must use STARTTLS")


def test_what_comes_before_the_greeting_waits_for_it() -> None:
    machine = ServerConnection(hostname="h", limits=ServerLimits())
    machine.receive_data(b"QUIT\r\n")
    assert isinstance(machine.next_event(), Connected)
    assert machine.next_event() is PAUSED
    assert machine.data_to_send() == b""
    machine.reply(Reply(220, "h"))
    assert machine.next_event() == Closed("the client said QUIT")
    assert machine.data_to_send() == b"220 h\r\n221 2.0.0 Bye\r\n"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (b"RCPT TO:<b@example.org>", b"503 "),
        (b"DATA", b"503 "),
        (b"MAIL FROM:<a@example.test>\r\nMAIL FROM:<a@example.test>", b"503 "),
        (b"MAIL FROM:<a@example.test>\r\nSTARTTLS", b"503 "),
        (b"DATA now", b"501 "),
    ],
)
def test_commands_out_of_order(shell: Shell, lines: bytes, code: bytes) -> None:
    assert shell.feed(lines + b"\r\n").splitlines()[-1].startswith(code)


@pytest.mark.parametrize("line", [b"MAIL FROM:<a@example.test>", b"RCPT TO:<b@example.org>", b"DATA", b"STARTTLS"])
def test_nothing_goes_before_ehlo(line: bytes) -> None:
    assert Shell().feed(line + b"\r\n") == b"503 5.5.1 Send EHLO first\r\n"
    assert Shell(encrypted=True).feed(AUTH) == b"503 5.5.1 Send EHLO first\r\n"


def test_content_behind_a_refused_data_is_not_taken_for_commands(shell: Shell) -> None:
    assert shell.feed(b"RCPT TO:<b@example.org>\r\nDATA\r\nMAIL FROM:<evil@example.test>\r\n.\r\n").splitlines()[-1].startswith(b"503 ")
    assert shell.machine.is_closed
    other = Shell(encrypted=True).log_in()
    other.refuse = lambda event: make_reply(451, "4.3.0", "Later") if isinstance(event, DataRequested) else None
    other.feed(SESSION)
    assert other.output.splitlines()[-1].startswith(b"451 ")
    assert other.machine.is_closed
    patient = Shell(encrypted=True).log_in()
    patient.refuse = other.refuse
    patient.feed(BDAT + b"DATA\r\n")
    assert not patient.machine.is_closed


def test_ehlo_in_a_transaction_ends_it(shell: Shell) -> None:
    shell.feed(BDAT + b"EHLO vm\r\n")
    assert shell.feed(b"DATA\r\n").startswith(b"503 ")
    assert shell.feed(b"MAIL FROM:<a@example.test>\r\n").startswith(b"250 ")


def test_a_refused_hello_changes_nothing() -> None:
    shell = Shell(encrypted=True)
    shell.refuse = lambda event: make_reply(550, "5.7.1", "No") if isinstance(event, Hello) else None
    assert shell.feed(b"EHLO vm\r\n") == b"550 5.7.1 No\r\n"
    assert shell.feed(b"MAIL FROM:<a@example.test>\r\n").startswith(b"503 ")


def test_a_refused_starttls_leaves_clear_text() -> None:
    shell = Shell()
    shell.refuse = lambda event: make_reply(454, "4.7.0", "Not now") if isinstance(event, StartTLSRequested) else None
    assert shell.feed(b"EHLO vm\r\nSTARTTLS\r\n").endswith(b"454 4.7.0 Not now\r\n")
    assert shell.feed(AUTH).startswith(b"530 ")


def in_handshake() -> ServerConnection:
    machine = ServerConnection(hostname="h", limits=ServerLimits())
    machine.next_event()
    machine.reply(Reply(220, "h"))
    machine.receive_data(b"EHLO vm\r\n")
    machine.next_event()
    machine.accept_hello()
    machine.receive_data(b"STARTTLS\r\n")
    assert isinstance(machine.next_event(), StartTLSRequested)
    machine.receive_data(b"RSET\r\n")
    machine.reply(Reply(220, "Go"))
    machine.data_to_send()
    return machine


def test_nothing_in_clear_text_outlives_the_handshake() -> None:
    machine = in_handshake()
    assert machine.awaiting is Step.HANDSHAKE
    machine.receive_data(b"NOOP\r\n")
    assert machine.next_event() is NEED_DATA
    machine.tls_established()
    assert machine.next_event() is NEED_DATA
    assert machine.data_to_send() == b""
    with pytest.raises(LocalProtocolError):
        machine.tls_established()


def test_a_handshake_that_never_ends() -> None:
    closed, timed_out = in_handshake(), in_handshake()
    closed.receive_data(b"")
    assert closed.next_event() == Closed("the client closed in the handshake")
    timed_out.shut_down(make_reply(421, "4.4.2", "Timed out"))
    assert timed_out.is_closed
    assert timed_out.data_to_send() == b""


def test_shutting_down_says_one_last_word_in_any_state() -> None:
    shells = [Shell(), Shell(encrypted=True).log_in(), Shell(encrypted=True).log_in().envelope()]
    for shell in shells:
        shell.machine.shut_down(make_reply(421, "4.3.2", "Stopping"))
        shell.machine.shut_down(make_reply(421, "4.3.2", "Stopping"))
        assert shell.feed(b"NOOP\r\n") == b"421 4.3.2 Stopping\r\n"
        assert shell.machine.is_closed
        assert shell.events[-1] == Closed("421 4.3.2 Stopping")


def test_content_cannot_be_refused_before_it_comes(shell: Shell) -> None:
    with pytest.raises(LocalProtocolError):
        shell.machine.refuse_content(OK)


@pytest.mark.parametrize(
    ("data", "step"),
    [(b"", Step.COMMAND), (SESSION, Step.COMMAND), (BDAT + b"DATA\r\n", Step.DATA_BLOCK), (BDAT + b"BDAT 5\r\n", Step.DATA_BLOCK)],
)
def test_what_the_machine_waits_for(shell: Shell, data: bytes, step: Step) -> None:
    if data:
        shell.feed(data)
    assert shell.machine.awaiting is step
    assert shell.machine.is_receiving_content is (step is Step.DATA_BLOCK)


def test_a_machine_shows_where_it_stands(shell: Shell) -> None:
    assert repr(shell.machine) == "<ServerConnection READY pending=None>"
    assert repr(ServerConnection(hostname="h", limits=ServerLimits())) == "<ServerConnection GREETING pending=greeting>"


def test_a_client_that_half_closes_gets_its_answer(shell: Shell) -> None:
    shell.machine.receive_data(SESSION)
    assert shell.feed(b"").splitlines()[-2:] == [b"250 2.0.0 Ok", b"250 2.0.0 Ok"]
    assert len(shell.contents) == 1
    assert shell.events[-1] == Closed("the client closed between commands")


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_content_far_over_the_limit_is_cut_off_however_it_comes(size: int) -> None:
    for length, code in ((4_000, b"552 5.3.4 "), (4_001, b"421 4.3.4 ")):
        shell = Shell(encrypted=True, limits=ServerLimits(max_message_size=1_000)).log_in().envelope()
        data = b"x" * (length - 2) + b"\r\n.\r\n"
        assert shell.feed_all(data[start : start + size] for start in range(0, len(data), size)).startswith(code)


def test_a_transaction_lasts_from_mail_to_its_end(shell: Shell) -> None:
    seen = [shell.machine.is_in_transaction]
    for line in (
        b"MAIL FROM:<a@example.test>\r\n",
        b"RCPT TO:<b@example.org>\r\n",
        b"DATA\r\n",
        MESSAGE + b".\r\n",
        b"MAIL FROM:<>\r\n",
        b"RSET\r\n",
    ):
        shell.feed(line)
        seen.append(shell.machine.is_in_transaction)
    assert seen == [False, True, True, True, False, True, False]
