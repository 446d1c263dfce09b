"""The server machine: dialogues, cuts, smuggling, injection, limits."""

import base64
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.smtp.errors import LocalProtocolError
from sendryd.smtp.events import NEED_DATA, PAUSED, Closed, Connected, ContentRefused, CredentialsOffered, DataEnded, MailFrom, RcptTo
from sendryd.smtp.reply import Reply, ReplyClass, make_reply
from sendryd.smtp.server import ServerConnection, ServerLimits
from sendryd.smtp.server_replies import OK
from sendryd.smtp.states import LEGAL, TRANSITIONS, State, Verb
from sendryd.testing.dialogue import StepKind, parse_dialogue
from sendryd.testing.shell import AUTH, Shell

DIALOGUES = sorted((Path(__file__).parents[1] / "data" / "dialogues").glob("*.txt"))
MESSAGE = b"From: a@example.test\r\nSubject: x\r\n\r\nhello\r\n..dots\r\n"
SESSION = b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n" + MESSAGE + b".\r\nNOOP\r\n"


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
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


@settings(max_examples=150, deadline=None)
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


def test_octet_by_octet(shell: Shell) -> None:
    shell.feed_all(bytes([octet]) for octet in SESSION)
    assert shell.contents == [MESSAGE.replace(b"..dots", b".dots")]
    assert shell.output.endswith(b"250 2.0.0 Ok\r\n" * 2)


@settings(max_examples=300, deadline=None)
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


@pytest.mark.parametrize(("state", "verb"), list(itertools.product(State, Verb)))
@pytest.mark.parametrize("reply_class", list(ReplyClass))
def test_every_reply_is_in_the_table_or_our_own_fault(state: State, verb: Verb, reply_class: ReplyClass) -> None:
    machine = ServerConnection(hostname="h", limits=ServerLimits())
    machine._state, machine._pending = state, verb
    reply = Reply(reply_class * 100 + 50 if reply_class != 3 else 354, "x")
    if (state, verb, reply_class) in TRANSITIONS:
        machine.reply(reply)
        assert machine._state is TRANSITIONS[state, verb, reply_class]
    else:
        with pytest.raises(LocalProtocolError):
            machine.reply(reply)
    assert ((state, verb) in LEGAL) == any((state, verb, each) in TRANSITIONS for each in ReplyClass)


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


@pytest.mark.parametrize(
    "behind", [b"RSET\r\n", b"EHLO evil\r\n", b"AUTH PLAIN AHgAeQ==\r\nMAIL FROM:<a@b>\r\n", b"QUIT\r\n", b"RS", b"\x16\x03\x01"]
)
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


@pytest.mark.parametrize("response", [b"!!!!", b"AG E=", b"AHgAeQ", b"eHk=", b"AAAA", base64.b64encode(b"\0\xff\0x"), b"AHgAeQ==junk"])
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


def test_endless_noops_are_ended() -> None:
    shell = Shell(encrypted=True, limits=ServerLimits(max_idle_commands=50)).log_in()
    assert shell.feed(b"NOOP\r\n" * 100).endswith(b"421 4.7.0 Too many commands without mail; closing\r\n")


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


@pytest.mark.parametrize("name", [b"[127.0.0.1]", b"[IPv6:::1]", b"localhost", b"vm", b"a_b", b"<script>"])
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
