"""The client machine against the server machine, in memory: what one says the other understands."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sendryd.smtp.client import ClientConnection, ReplyReceived
from sendryd.smtp.client_commands import QUIT, STARTTLS, Command, auth_plain, ehlo
from sendryd.smtp.datastream import dot_stuff
from sendryd.smtp.events import Closed, CredentialsOffered, DataEnded, DataRequested, MailFrom, RcptTo
from sendryd.smtp.reply import Reply, make_reply
from sendryd.smtp.server import ServerLimits
from sendryd.smtp.states import Phase, Verb
from sendryd.smtp.timeouts import Step
from sendryd.smtp.transaction import OutboundEnvelope, Transaction, TransactionResult
from sendryd.testing.examples import examples
from sendryd.testing.shell import Shell

PATHS = ("a@example.org", '"b c"@example.org', "d@example.org")
CONTENT = b"From: s@example.test\r\nSubject: x\r\n\r\n.\r\n..two\r\n.one\r\nend.\r\n"
BOTH = pytest.mark.parametrize("is_pipelined", [False, True], ids=["in turn", "pipelined"])


def envelope(content: bytes = CONTENT) -> OutboundEnvelope:
    return OutboundEnvelope(reverse_path="s@example.test", forward_paths=PATHS, size=len(content))


class Wire:
    """Two machines back to back. `size` is how many octets cross at a time, either way; 0 for all there are."""

    def __init__(self, *, is_pipelined: bool = True, size: int = 0, limits: ServerLimits | None = None) -> None:
        self.client = ClientConnection()
        self.server = Shell(limits=limits)
        self.is_pipelined = is_pipelined
        self.size = size
        self.heard = 0  # octets of the server's output that the client has
        self.flights = 0

    def cross(self) -> None:
        """Carries all that has been said to the server, and its answers back into the client's buffer."""
        data = self.client.data_to_send()
        self.flights += bool(data)
        for piece in self._cut(data):
            self.server.feed(piece)

    def events(self) -> Iterator[ReplyReceived]:
        """What the client hears of what was answered so far."""
        answers, self.heard = self.server.output[self.heard :], len(self.server.output)
        for piece in self._cut(answers):
            self.client.receive_data(piece)
            while isinstance(event := self.client.next_event(), ReplyReceived):
                yield event

    def _cut(self, data: bytes) -> list[bytes]:
        size = self.size or len(data) or 1
        return [data[start : start + size] for start in range(0, len(data), size)]

    def ask(self, command: Command) -> Reply:
        self.client.send(command)
        self.cross()
        (event,) = self.events()
        assert event.command is command
        return event.reply

    def open(self) -> "Wire":
        """Greeting, EHLO, STARTTLS, EHLO, AUTH."""
        assert [event.reply.code for event in self.events()] == [220]
        assert self.ask(ehlo("relay.test")).code == 250
        assert self.client.extensions.starttls
        assert not self.client.extensions.auth
        assert self.ask(STARTTLS).code == 220
        self.client.tls_established()
        assert self.ask(ehlo("relay.test")).code == 250
        assert self.client.extensions.auth == {"PLAIN", "LOGIN"}
        assert self.ask(auth_plain("sendry", "sn_live_key")).code == 235
        self.client.extensions = replace(self.client.extensions, pipelining=self.is_pipelined)
        return self

    def carry(self, wanted: OutboundEnvelope, content: bytes = CONTENT) -> TransactionResult:
        """One transaction, as a shell does it."""
        transaction = Transaction(wanted, self.client.extensions)
        while not transaction.is_done:
            for command in transaction.commands():
                self.client.send(command)
            if transaction.is_text_due:
                transaction.is_text_due = False
                if transaction.wants_content:
                    self.client.send_content(dot_stuff(content))
                self.client.end_content()
            self.cross()
            for event in self.events():
                transaction.receive(event.command, event.reply)
        assert self.client.is_idle
        return transaction.result()

    def seen(self, kind: type) -> list[object]:
        return [event for event in self.server.events if isinstance(event, kind)]


@BOTH
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_message_for_several_with_tls_and_a_login(size: int, *, is_pipelined: bool) -> None:
    wire = Wire(is_pipelined=is_pipelined, size=size).open()
    flights = wire.flights
    result = wire.carry(envelope())
    assert wire.flights - flights == (2 if is_pipelined else 6)
    assert [reply.code for reply in result.per_recipient.values()] == [250] * 3
    assert wire.server.contents == [CONTENT]
    (mail,) = wire.seen(MailFrom)
    assert isinstance(mail, MailFrom)
    assert (str(mail.path), mail.size) == ("s@example.test", len(CONTENT))
    assert tuple(str(event.path) for event in wire.server.events if isinstance(event, RcptTo)) == PATHS
    (login,) = wire.seen(CredentialsOffered)
    assert login == CredentialsOffered("PLAIN", "sendry", "sn_live_key")
    assert wire.ask(QUIT).code == 221
    assert wire.client.phase is Phase.CLOSING
    assert isinstance(wire.server.events[-1], Closed)


@BOTH
def test_one_message_after_the_other(*, is_pipelined: bool) -> None:
    wire = Wire(is_pipelined=is_pipelined).open()
    contents = [b"From: s@example.test\r\n\r\n%d\r\n" % number for number in range(3)]
    for content in contents:
        assert wire.carry(envelope(content), content).failed_at is None
    assert wire.server.contents == contents


def test_parameters_arrive_as_they_were_meant() -> None:
    wire = Wire().open()
    content = "From: ü@example.test\r\n\r\ngrößer\r\n".encode()
    wanted = OutboundEnvelope(
        reverse_path="ü@example.test",
        forward_paths=("ö@example.org", "b@example.org"),
        size=len(content),
        needs_smtputf8=True,
        is_8bit=True,
        ret="HDRS",
        envid="x+2By",
        notify={"b@example.org": "FAILURE,DELAY"},
        orcpt={"b@example.org": "rfc822;c@example.org"},
    )
    assert wire.carry(wanted, content).failed_at is None
    (mail,) = wire.seen(MailFrom)
    assert isinstance(mail, MailFrom)
    assert (str(mail.path), mail.size, mail.body, mail.is_smtputf8) == ("ü@example.test", len(content), "8BITMIME", True)
    assert (mail.ret, mail.envid) == ("HDRS", "x+2By")
    first, second = (event for event in wire.server.events if isinstance(event, RcptTo))
    assert (str(first.path), first.notify, first.orcpt) == ("ö@example.org", None, None)
    assert (second.notify, second.orcpt) == (frozenset({"FAILURE", "DELAY"}), "rfc822;c@example.org")
    (ended,) = wire.seen(DataEnded)
    assert isinstance(ended, DataEnded)
    assert ended.content == content
    assert ended.is_8bit


def test_a_message_over_the_size_that_was_offered_is_not_even_begun() -> None:
    wire = Wire(limits=ServerLimits(max_message_size=50)).open()
    result = wire.carry(envelope())
    assert not result.was_sent
    assert wire.seen(MailFrom) == []


@BOTH
def test_recipients_over_the_limit_of_the_server_are_put_off_and_the_others_served(*, is_pipelined: bool) -> None:
    wire = Wire(is_pipelined=is_pipelined, limits=ServerLimits(max_recipients=2)).open()
    result = wire.carry(envelope())
    refusal = result.per_recipient[PATHS[2]]
    assert (refusal.code, str(refusal.enhanced)) == (452, "4.5.3")
    assert [result.steps[path] for path in PATHS] == [Step.FINAL_DOT, Step.FINAL_DOT, Step.RCPT]
    assert wire.server.contents == [CONTENT]


CASES = {
    "MAIL": (MailFrom, Step.MAIL),
    "RCPT": (RcptTo, Step.RCPT),
    "DATA": (DataRequested, Step.DATA),
    "end": (DataEnded, Step.FINAL_DOT),
}


@BOTH
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("refusal", [make_reply(451, "4.3.0", "Later"), make_reply(550, "5.7.1", "No")])
def test_a_refusal_at_each_step_leaves_both_in_step(case: str, refusal: Reply, *, is_pipelined: bool) -> None:
    kind, step = CASES[case]
    wire = Wire(is_pipelined=is_pipelined).open()
    wire.server.refuse = lambda event: refusal if isinstance(event, kind) else None
    result = wire.carry(envelope())
    assert dict(result.per_recipient) == dict.fromkeys(PATHS, refusal)
    assert result.failed_at is step
    wire.server.refuse = lambda _event: None
    wire.ask(Command(Verb.RSET, b"RSET\r\n"))
    assert wire.carry(envelope()).failed_at is None
    assert wire.server.contents[-1] == CONTENT


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.sampled_from([None, make_reply(550, "5.1.1", "Unknown"), make_reply(452, "4.2.2", "Full")]), min_size=3, max_size=3),
    st.booleans(),
)
def test_each_recipient_gets_the_reply_that_was_his(answers: list[Reply | None], is_pipelined: bool) -> None:
    wire = Wire(is_pipelined=is_pipelined).open()
    by_path = dict(zip(PATHS, answers, strict=True))
    wire.server.refuse = lambda event: by_path[str(event.path)] if isinstance(event, RcptTo) else None
    result = wire.carry(envelope())
    for path, answer in by_path.items():
        assert result.per_recipient[path].code == (answer.code if answer else 250)
        assert result.steps[path] is (Step.RCPT if answer else Step.FINAL_DOT)
    assert len(wire.server.contents) == (0 if all(answers) else 1)


LINES = st.lists(st.sampled_from([b"", b".", b"..", b"...", b".x", b"x.", b". ", b"x", b"x" * 998, b"\xe4", b"DATA", b"QUIT"]), max_size=12)


@settings(max_examples=examples(150), deadline=None)
@given(LINES, st.integers(0, 30))
@example([b".", b"", b".", b"QUIT"], 1)
def test_dots_are_stuffed_and_taken_out_again_wherever_the_octets_are_cut(lines: list[bytes], size: int) -> None:
    content = b"From: s@example.test\r\n\r\n" + b"".join(line + b"\r\n" for line in lines)
    wire = Wire(size=size).open()
    wanted = replace(envelope(content), is_8bit=not content.isascii())
    assert wire.carry(wanted, content).failed_at is None
    assert wire.server.contents == [content]
    assert wire.ask(QUIT).code == 221
