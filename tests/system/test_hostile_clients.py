"""The real program and clients that mean it no good: over a socket, as anybody could."""

import base64
import http.client
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sendryd.testing.dialogue import StepKind, parse_dialogue
from sendryd.testing.process import RelayProcess
from sendryd.testing.world import SENDING_DOMAIN, World

DIALOGUES = sorted((Path(__file__).parents[1] / "data" / "dialogues").glob("*.txt"))
AUTHOR = f"hello@{SENDING_DOMAIN}".encode()
ENVELOPE = b"MAIL FROM:<" + AUTHOR + b">\r\nRCPT TO:<user@example.org>\r\n"
HEADER = b"From: " + AUTHOR + b"\r\nSubject: outer\r\n"


class Line:
    """A connection on which bytes are said as they are given."""

    def __init__(self, relay: RelayProcess) -> None:
        self._relay = relay
        self.socket = socket.create_connection(relay.smtp, timeout=60)
        self._file = self.socket.makefile("rb")

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> bytes:
        """The next line, or nothing if the server has closed."""
        try:
            return self._file.readline()
        except ConnectionResetError:  # it closed without reading all that was said
            return b""

    def ask(self, data: bytes) -> bytes:
        """The last line of the reply to what is said."""
        self.say(data)
        while (line := self.hear())[3:4] == b"-":
            pass
        return line

    def shake_hands(self) -> None:
        self._file.close()
        context = ssl.create_default_context(cafile=str(self._relay.cert))
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._file = self.socket.makefile("rb")

    def log_in(self, key: str) -> None:
        """Greeting, TLS, AUTH."""
        assert self.hear().startswith(b"220 ")
        assert self.ask(b"EHLO vm\r\n").startswith(b"250 ")
        assert self.ask(b"STARTTLS\r\n").startswith(b"220 ")
        self.shake_hands()
        assert self.ask(b"EHLO vm\r\n").startswith(b"250 ")
        assert self.ask(b"AUTH PLAIN " + token(key) + b"\r\n").startswith(b"235 ")

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextmanager
def connected(world: World, key: str | None = None) -> Iterator[Line]:
    line = Line(world.relay)
    try:
        if key is not None:
            line.log_in(key)
        yield line
    finally:
        line.close()


def token(key: str) -> bytes:
    return base64.b64encode(b"\0sendry\0" + key.encode())


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_dialogues(world: World, path: Path) -> None:
    own = {  # what the files say of the machine's own test double
        b"AHNlbmRyeQBrZXk=": token(world.test_key),
        b"a2V5": base64.b64encode(world.test_key.encode()),
        b"mail.example.test": b"relay.example.test",
    }
    with connected(world) as line:
        for step in parse_dialogue(path.read_text("utf-8")):
            where = f"{path.name} line {step.line_number}"
            data = step.data
            for theirs, ours in own.items():
                data = data.replace(theirs, ours)
            match step.kind:
                case StepKind.SEND:
                    line.say(data)
                case StepKind.EXPECT:
                    heard = line.hear()
                    assert heard.startswith(data), f"{where}: {heard!r}"
                case StepKind.TLS:
                    line.shake_hands()
                case StepKind.EOF:
                    line.socket.shutdown(socket.SHUT_WR)
                case StepKind.CLOSED:
                    assert line.hear() == b"", where


FALSE_ENDS = (
    b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n",
    b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\n\n.\n\n", b"\n\r.\n\r", b"\x0b.\x0b", b"\x85.\x85", b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\n..\r\n",
    b"\r\n.\x1a\r\n", b"\r\n.\x0c\r\n", b"\r\n.\r\x0b\n", b"a" * 70_000 + b".\r\n", b"\r\n" + b"." * 999 + b"\r\n",
)  # fmt: skip


def test_no_false_end_of_data_smuggles_a_message(world: World) -> None:
    smuggled = ENVELOPE + b"DATA\r\nFrom: " + AUTHOR + b"\r\nSubject: smuggled\r\n\r\nsmuggled\r\n..\r\n"
    accepted = 0
    with connected(world, world.live_key) as line:
        for false_end in FALSE_ENDS:
            for pieces in ([false_end], [bytes([octet]) for octet in false_end[-6:]]):
                line.say(ENVELOPE + b"DATA\r\n")
                assert [line.hear()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
                line.say(HEADER + b"\r\nbody")
                for piece in pieces:
                    line.say(piece)
                reply = line.ask(smuggled + b"\r\n.\r\n")
                assert reply[:3] in {b"250", b"550", b"554"}, (false_end, reply)
                accepted += reply.startswith(b"250")
                assert line.ask(b"NOOP\r\n").startswith(b"250 2.0.0 Ok\r\n"), false_end
    assert accepted > 0
    world.wait_until(lambda: sum(b"smuggled" in mail.content for mail in world.mailhost.mails) >= accepted)
    ours = [mail.content for mail in world.mailhost.mails if b"smuggled" in mail.content]
    assert len(ours) == accepted
    for content in ours:
        assert b"Subject: outer" in content.partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")


def client_hello() -> bytes:
    """What a client says first in a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def test_clients_that_stop_half_way_hold_up_nobody(world: World) -> None:
    def in_the_handshake(line: Line) -> None:
        line.hear()
        line.ask(b"EHLO vm\r\n")
        line.ask(b"STARTTLS\r\n")
        line.say(client_hello()[:100])

    def in_auth(line: Line) -> None:
        line.log_in(world.test_key)
        line.say(b"RSET\r\nMAIL FROM:<a@exam")

    def in_the_content(line: Line) -> None:
        line.log_in(world.test_key)
        line.say(ENVELOPE + b"DATA\r\n" + HEADER + b"\r\nhal")

    def in_a_chunk(line: Line) -> None:
        line.log_in(world.test_key)
        line.say(ENVELOPE + b"BDAT 1000000 LAST\r\n" + HEADER)

    stops: tuple[Callable[[Line], None], ...] = (
        lambda _: None,
        lambda line: line.say(b"EHL"),
        in_the_handshake,
        in_auth,
        in_the_content,
        in_a_chunk,
    )
    held = [Line(world.relay) for _ in range(10 * len(stops))]
    try:
        for number, line in enumerate(held):
            stops[number % len(stops)](line)
        started = time.monotonic()
        with connected(world, world.live_key) as line:
            line.say(ENVELOPE + b"DATA\r\n")
            assert [line.hear()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
            assert line.ask(HEADER + b"\r\nbody\r\n.\r\n").startswith(b"250 ")
        assert time.monotonic() - started < 30  # those that are held are let go after minutes
    finally:
        for line in held:
            line.close()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nEHLO x\r\nSTARTTLS\r\n",
        client_hello(),
        b"EHLO x\nSTARTTLS\n",
        b"\r\n\r\n\x0d\x0a\x00\x0d\x0aQUIT\x0a",
        b"STARTTLS\r\nEHLO x\r\n" * 30,
        b"x" * 1_000_000 + b"\r\n" + b"y\r\n" * 30,
        b"EHLO vm\r\n" * 2000,
    ],
    ids=["http", "posted commands", "tls", "bare line feeds", "proxy", "errors", "a long line", "endless greetings"],
)
def test_strangers_who_do_not_speak_our_language_are_shown_out(world: World, said: bytes) -> None:
    with connected(world) as line:
        assert line.hear().startswith(b"220 ")
        try:
            line.say(said)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it closed before it had read all
        replies = []
        while reply := line.hear():
            replies.append(reply)
        assert all(re.match(rb"[245]\d\d[ -]", reply) for reply in replies)
        assert not any(reply.startswith((b"235", b"354")) for reply in replies)
    with connected(world, world.test_key) as line:
        assert line.ask(b"NOOP\r\n").startswith(b"250 ")


def test_garbage_in_the_place_of_a_handshake_ends_the_connection(world: World) -> None:
    for garbage in (
        b"RSET\r\nNOOP\r\n",
        b"\x16\x03\x01\xff\xff" + b"\0" * 1000,
        b"\x80\x2e\x01\0\x02",
        client_hello()[:-1] + b"\xff" * 500,
    ):
        with connected(world) as line:
            line.hear()
            line.ask(b"EHLO vm\r\n")
            assert line.ask(b"STARTTLS\r\n").startswith(b"220 ")
            line.say(garbage)
            line.socket.shutdown(socket.SHUT_WR)
            heard = b""
            while part := line.hear():
                heard += part
            assert not re.match(rb"[245]\d\d ", heard)  # at the most an alert


@pytest.mark.parametrize(
    "content",
    [
        HEADER + (b"a" * 996 + b"\r\n") * 1000 + b"\r\nbody",
        HEADER + b"X: y\r\n" * 150_000 + b"\r\nbody",
        HEADER + b"To: " + b"=?utf-8?q?a?= <a@b.test>,\r\n " * 35_000 + b"x@b.test\r\n\r\nbody",
        HEADER + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\n' + b"--b-\r\n" * 500_000 + b"x" * 2000,
        HEADER + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 100_000 + b"x" * 2000,
    ],
    ids=["no colon", "fields", "recipients", "hyphens", "parts"],
)
def test_a_message_that_is_hard_to_read_holds_up_nobody(world: World, content: bytes) -> None:
    with connected(world, world.test_key) as line, connected(world, world.test_key) as other:
        line.say(ENVELOPE + b"DATA\r\n")
        assert [line.hear()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        line.say(content + b"\r\n.\r\n")
        while not select.select([line.socket], [], [], 0.01)[0]:
            asked = time.monotonic()
            assert other.ask(b"NOOP\r\n").startswith(b"250 ")
            assert time.monotonic() - asked < 8  # it was up to 15 seconds
        assert line.hear()[:4] in {b"250 ", b"554 "}
        assert line.ask(b"NOOP\r\n").startswith(b"250 ")


def test_ten_thousand_recipients_and_the_transaction_goes_on(world: World) -> None:
    with connected(world, world.test_key) as line:
        assert line.ask(b"MAIL FROM:<" + AUTHOR + b">\r\n").startswith(b"250 ")
        codes: dict[bytes, int] = {}
        for start in range(0, 10_000, 1000):
            line.say(b"".join(b"RCPT TO:<u%d@example.org>\r\n" % number for number in range(start, start + 1000)))
            for _ in range(1000):
                code = line.hear()[:9]
                codes[code] = codes.get(code, 0) + 1
        assert codes == {b"250 2.1.5": 1000, b"452 4.5.3": 9000}
        assert line.ask(b"DATA\r\n").startswith(b"354 ")
        assert line.ask(HEADER + b"\r\nbody\r\n.\r\n").startswith(b"250 ")


def test_scheduled_mail_of_a_test_key_is_not_sent_by_an_operator_either(world: World) -> None:
    before = len(world.mailhost.mails)
    content = b"From: ceo@bank.test\r\nSubject: never\r\nx-SENDRY-scheduled-at:\r\n in 1\r\n hour\r\n\r\nbody\r\n.\r\n"
    with connected(world, world.test_key) as line:
        line.say(b"MAIL FROM:<ceo@bank.test>\r\nRCPT TO:<user@example.org>\r\nDATA\r\n")
        assert [line.hear()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        found = re.search(r"em_\w{13}", line.ask(content).decode())
    assert found is not None
    world.relay.run("queue", "retry", found[0])
    world.relay.wait_for_status(found[0], {"delivered"}, key=world.test_key)  # captured
    with connected(world, world.live_key) as line:
        line.say(ENVELOPE + b"DATA\r\n")
        assert [line.hear()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        world.received(line.ask(HEADER + b"\r\nafter\r\n.\r\n").decode())
    assert not any(b"Subject: never" in mail.content for mail in world.mailhost.mails[before:])


def test_a_key_is_in_no_log_whatever_is_done_with_it(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data", {"SENDRYD_LOG_LEVEL": "debug"}) as relay:
        key = relay.keys["live"]
        forms = [base64.b64encode(before + key.encode()) for before in (b"", b"\0sendry\0", b"sendry\0sendry\0")]
        for form in (key.encode(), *forms):
            line = Line(relay)
            line.hear()
            line.ask(b"EHLO vm\r\n")
            for said in (b"AUTH PLAIN " + form, form, b"NOOP " + form, b"MAIL FROM:<" + form[:60] + b"@example.test>"):
                assert line.ask(said + b"\r\n")
            line.ask(b"STARTTLS\r\n")
            line.shake_hands()
            line.ask(b"EHLO " + form + b"\r\n")
            for said in (
                b"AUTH PLAIN x" + form,
                b"AUTH PLAIN " + form + b"!",
                b"AUTH CRAM-MD5 " + form,
                b"AUTH " + form,
                b"VRFY " + form,
                b"BDAT " + form,
            ):
                assert line.ask(said + b"\r\n")
            line.close()
        host, _, port = relay.ready["http"].rpartition("//")[2].rpartition(":")
        for path, headers in (
            (f"/v1/emails?api_key={key}", {}),
            (f"/v1/emails/{key}", {"Authorization": f"Bearer {key}"}),
            (f"/{key}", {"Authorization": f"Basic {forms[1].decode()}"}),
            ("/v1/emails", {"Authorization": key}),
        ):
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            connection.request("GET", path, headers=headers)
            assert connection.getresponse().status in {401, 404, 422}
            connection.close()
        assert relay.stop() == 0
        written = [path.read_bytes() for path in relay.data_dir.rglob("*") if path.is_file()]
        written.append(relay.log_path.read_bytes().partition(b"/v1/test-emails")[2])  # behind what the first start prints
        for text in written:
            assert key[8:].encode() not in text
            assert key[8:].lower().encode() not in text
            assert not any(form[start : start + 16] in text for form in forms for start in range(24, 40))


def test_a_crowd_of_idle_http_connections_locks_nobody_out(world: World) -> None:
    """1,500 connections that say nothing or half a head: health and the API answer, also to their own address."""
    host, _, port = world.relay.ready["http"].removeprefix("http://").rpartition(":")
    crowd = [socket.create_connection((host, int(port)), timeout=10) for _ in range(1500)]
    try:
        for number, client in enumerate(crowd):
            if number % 2:
                with suppress(OSError):  # it has made room already
                    client.sendall(b"GET /v1/emails HTTP/1.1\r\nHost: a\r\n")
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/v1/emails", 401)):
            connection = http.client.HTTPConnection(host, int(port), timeout=5)
            connection.request("GET", path)
            assert connection.getresponse().status == status
            connection.close()
    finally:
        for client in crowd:
            client.close()


def test_half_open_tls_connections_lock_nobody_out(tmp_path: Path) -> None:
    """1,000 connections of one address whose handshake never ends: they make room for one another, and HTTPS answers all the while."""
    with RelayProcess(tmp_path / "data", {"SENDRYD_HTTP_TLS": "true"}) as relay:
        host, _, port = relay.ready["http"].removeprefix("https://").rpartition(":")
        context = ssl.create_default_context(cafile=str(relay.cert))
        crowd = [socket.create_connection((host, int(port)), timeout=10) for _ in range(1000)]
        try:
            connection = http.client.HTTPSConnection(host, int(port), timeout=10, context=context)
            connection.request("GET", "/metrics")
            metrics = connection.getresponse().read().decode()
            found = re.search(r"^sendryd_http_connections (\S+)$", metrics, re.MULTILINE)
            assert found is not None
            assert 400 < float(found[1]) <= 513  # those of this address, and the one that asks
            connection.close()
            crowd[0].settimeout(10)
            with suppress(ConnectionResetError):
                assert crowd[0].recv(1) == b""  # the oldest was closed
        finally:
            for client in crowd:
                client.close()
        assert relay.stop() == 0
