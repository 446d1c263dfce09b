"""Every row of the table of SMTP replies in the operator's interface, produced by the real program."""

import base64
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
CONTENT = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: row\r\n\r\nbody\r\n".encode()


class Raw:
    """A client that sends exactly what it is told to."""

    def __init__(self, world: World) -> None:
        self._socket = socket.create_connection(world.relay.smtp, timeout=20)
        self._file = self._socket.makefile("rb")
        self._context = ssl.create_default_context(cafile=str(world.relay.cert))

    def reply(self) -> tuple[int, str]:
        """The next reply: code and text."""
        lines = []
        while True:
            line = self._file.readline()
            if not line:
                return 0, ""
            lines.append(line[4:].decode().rstrip())
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def send(self, data: bytes) -> tuple[int, str]:
        """Sends bytes and gives the next reply."""
        self._socket.sendall(data)
        return self.reply()

    def starttls(self) -> None:
        """Greeting, EHLO, STARTTLS, handshake, EHLO."""
        assert self.reply()[0] == 220
        assert self.send(b"EHLO localhost\r\n")[0] == 250
        assert self.send(b"STARTTLS\r\n")[0] == 220
        self._socket = self._context.wrap_socket(self._socket, server_hostname="localhost")
        self._file = self._socket.makefile("rb")
        assert self.send(b"EHLO [127.0.0.1]\r\n")[0] == 250

    def login(self, key: str, user: str = "sendryd") -> tuple[int, str]:
        """AUTH PLAIN with an initial response."""
        token = base64.b64encode(f"\0{user}\0{key}".encode())
        return self.send(b"AUTH PLAIN " + token + b"\r\n")

    def envelope(self, sender: str = AUTHOR, recipient: str = "user@example.org") -> None:
        """MAIL, RCPT and DATA, all accepted."""
        assert self.send(f"MAIL FROM:<{sender}>\r\n".encode())[0] == 250
        assert self.send(f"RCPT TO:<{recipient}>\r\n".encode())[0] == 250
        assert self.send(b"DATA\r\n")[0] == 354

    def content(self, content: bytes) -> tuple[int, str]:
        """The content and the end of it."""
        return self.send(content + b"\r\n.\r\n")

    def close(self) -> None:
        """Closes without QUIT."""
        self._file.close()
        self._socket.close()


@contextmanager
def connected(world: World, *, key: str | None = None, tls: bool = True) -> Iterator[Raw]:
    client = Raw(world)
    try:
        if tls:
            client.starttls()
            if key is not None:
                assert client.login(key)[0] == 235
        else:
            assert client.reply()[0] == 220
            assert client.send(b"EHLO vm\r\n")[0] == 250
        yield client
    finally:
        client.close()


@pytest.fixture
def client(world: World) -> Iterator[Raw]:
    """Logged in with a live key."""
    with connected(world, key=world.live_key) as raw:
        yield raw


def starts(reply: tuple[int, str], code: int, enhanced: str) -> bool:
    """Whether a reply has this code and enhanced code, on each of its lines."""
    assert reply[0] == code, reply
    assert all(line.startswith(enhanced + " ") for line in reply[1].splitlines()), reply
    return True


def test_extensions_before_and_after_tls(world: World) -> None:
    host, port = world.relay.smtp
    with smtplib.SMTP(host, port) as smtp:
        smtp.ehlo("vm")
        assert smtp.has_extn("starttls")
        assert not smtp.has_extn("auth")
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.ehlo("localhost")
        names = {"size", "8bitmime", "smtputf8", "pipelining", "enhancedstatuscodes", "dsn", "chunking", "requiretls", "auth"}
        assert set(smtp.esmtp_features) == names
        assert smtp.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        assert int(smtp.esmtp_features["size"]) == 40 * 1024 * 1024


def test_auth_before_starttls(world: World) -> None:
    with connected(world, tls=False) as raw:
        assert starts(raw.send(b"AUTH PLAIN AHgAeQ==\r\n"), 530, "5.7.0")


def test_mail_without_auth(world: World) -> None:
    with connected(world) as raw:
        assert starts(raw.send(b"MAIL FROM:<a@example.test>\r\n"), 530, "5.7.0")


def test_unknown_revoked_and_expired_keys_and_an_empty_user_are_told_the_same(world: World) -> None:
    revoked = world.relay.json("keys", "create", "--name", "revoked")
    world.relay.run("keys", "revoke", revoked["id"])
    expired = world.relay.json("keys", "create", "--name", "expired", "--expires", "1ms")
    texts = set()
    for key, user in (
        ("sn_live_" + "x" * 43, "sendryd"),
        ("nonsense", "sendryd"),
        (revoked["key"], "sendryd"),
        (expired["key"], "sendryd"),
        (world.live_key, ""),
    ):
        with connected(world) as raw:
            reply = raw.login(key, user)
            assert starts(reply, 535, "5.7.8")
            texts.add(reply[1])
    assert len(texts) == 1


def test_key_revoked_in_mid_session_stops_at_the_next_mail(world: World) -> None:
    key = world.relay.json("keys", "create", "--name", "short-lived")
    with connected(world, key=key["key"]) as raw:
        assert raw.send(f"MAIL FROM:<{AUTHOR}>\r\n".encode())[0] == 250
        assert raw.send(b"RSET\r\n")[0] == 250
        world.relay.run("keys", "revoke", key["id"])
        world.wait_for_config_change()
        assert starts(raw.send(f"MAIL FROM:<{AUTHOR}>\r\n".encode()), 535, "5.7.8")
        assert starts(raw.send(f"MAIL FROM:<{AUTHOR}>\r\n".encode()), 530, "5.7.0")


def test_key_without_the_scope_is_told_so(world: World) -> None:
    key = world.relay.json("keys", "create", "--name", "reader", "--scope", "read_only")
    with connected(world) as raw:
        reply = raw.login(key["key"])
        assert starts(reply, 535, "5.7.8")
        assert "sending_access" in reply[1]


def test_auth_that_cannot_be_decoded_and_auth_given_up(world: World) -> None:
    with connected(world) as raw:
        assert starts(raw.send(b"AUTH PLAIN !!!!\r\n"), 501, "5.5.2")
        assert raw.send(b"AUTH LOGIN\r\n") == (334, "VXNlcm5hbWU6")
        assert starts(raw.send(b"*\r\n"), 501, "5.7.0")
        user = base64.b64encode(b"sendryd")
        assert raw.send(b"auth login " + user + b"\r\n") == (334, "UGFzc3dvcmQ6")
        assert raw.send(base64.b64encode(world.live_key.encode()) + b"\r\n")[0] == 235


def test_what_is_buffered_behind_starttls_is_never_executed(world: World) -> None:
    with connected(world, tls=False) as raw:
        reply = raw.send(b"STARTTLS\r\nRSET\r\nNOOP\r\n")
        assert starts(reply, 501, "5.5.1")
        assert raw.reply() == (0, "")


@pytest.mark.parametrize("sender", ["boss@unverified.test", "boss@evilexample.test"])
def test_reverse_path_of_a_domain_that_is_not_verified(client: Raw, sender: str) -> None:
    reply = client.send(f"MAIL FROM:<{sender}>\r\n".encode())
    assert starts(reply, 550, "5.7.1")
    assert sender.partition("@")[2] in reply[1]


def test_header_from_of_a_domain_that_is_not_verified(client: Raw) -> None:
    client.envelope()
    reply = client.content(CONTENT.replace(AUTHOR.encode(), b"boss@unverified.test"))
    assert starts(reply, 550, "5.7.1")
    assert "unverified.test" in reply[1]


def test_subdomain_may_be_reverse_path_but_not_author(client: Raw) -> None:
    client.envelope(f"bounces@mail.{SENDING_DOMAIN}")
    assert client.content(CONTENT)[0] == 250
    client.envelope("")
    assert client.content(CONTENT)[0] == 250
    client.envelope()
    assert starts(client.content(CONTENT.replace(b"hello@", b"hello@sub.")), 550, "5.7.1")


def test_subdomain_may_be_author_once_the_domain_is_set_so(world: World) -> None:
    world.relay.run("domains", "set", SENDING_DOMAIN, "include_subdomains=true")
    world.wait_for_config_change()
    try:
        with connected(world, key=world.live_key) as raw:
            raw.envelope()
            assert raw.content(CONTENT.replace(b"hello@", b"hello@sub."))[0] == 250
    finally:
        world.relay.run("domains", "set", SENDING_DOMAIN, "include_subdomains=false")
        world.wait_for_config_change()


@pytest.mark.parametrize("recipient", ["user@nodot", "user@[127.0.0.1]", "user@127.0.0.1", "us er@example.org", "user@", "a@b@example.org"])
def test_recipient_that_cannot_be_one(client: Raw, recipient: str) -> None:
    assert client.send(f"MAIL FROM:<{AUTHOR}>\r\n".encode())[0] == 250
    code, text = client.send(f"RCPT TO:<{recipient}>\r\n".encode())
    assert code in {501, 553}
    assert text.startswith("5.1.3 ")
    assert client.send(b"RCPT TO:<good@example.org>\r\n")[0] == 250


def test_accepted(client: Raw) -> None:
    client.envelope()
    code, text = client.content(CONTENT)
    assert code == 250
    assert text.startswith("2.0.0 Ok: queued as em_")


@pytest.mark.parametrize("name", ["localhost", "[127.0.0.1]", "vm", "[IPv6:::1]", "my_machine", "a-b.example.test"])
def test_names_that_real_clients_give(world: World, name: str) -> None:
    with connected(world, tls=False) as raw:
        assert raw.send(f"EHLO {name}\r\n".encode())[0] == 250
        assert raw.send(f"HELO {name}\r\n".encode())[0] == 250


def test_what_is_missing_is_added_and_undeclared_8_bit_is_taken(world: World, client: Raw) -> None:
    client.envelope()
    reply = client.content(f"From: {AUTHOR}\r\nSubject: bare\r\n\r\nGr\u00fc\u00dfe".encode())
    assert starts(reply, 250, "2.0.0")
    content = world.received(reply[1]).content
    head = content.partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\nDate: ") == head.count(b"\r\nMessage-ID: <") == 1
    assert world.decoded(content).decode().strip() == "Gr\u00fc\u00dfe"


def test_a_repeat_under_an_idempotency_key_is_answered_with_the_first_id(world: World, client: Raw) -> None:
    replies = set()
    for _ in range(2):
        client.envelope()
        replies.add(client.content(b"X-Sendry-Idempotency-Key: reply-table\r\n" + CONTENT))
    (reply,) = replies
    assert starts(reply, 250, "2.0.0")
    world.received(reply[1])
    mark = reply[1].split()[-1].encode()
    assert len([mail for mail in world.mailhost.mails if mark in mail.content]) == 1


def test_message_over_the_limit_by_its_own_word(client: Raw) -> None:
    assert starts(client.send(f"MAIL FROM:<{AUTHOR}> SIZE={41 * 1024 * 1024}\r\n".encode()), 552, "5.3.4")


def test_message_over_the_limit_by_its_octets(client: Raw) -> None:
    client.envelope()
    line = b"x" * 76 + b"\r\n"
    assert starts(client.content(CONTENT + line * (41 * 1024 * 1024 // len(line))), 552, "5.3.4")
    client.envelope()
    assert client.content(CONTENT)[0] == 250


MALFORMED = {
    "bare CR": (CONTENT + b"a\rb\r\n", 554),
    "NUL": (CONTENT + b"a\0b\r\n", 554),
    "lone dot beside bare LF": (CONTENT + b"a\n.\nb\r\n", 550),
    "lone dot between bare LF and CRLF": (CONTENT + b"a\n.\r\nb\r\n", 550),
    "lone dot between CRLF and bare LF": (CONTENT + b"a\r\n.\nb\r\n", 550),
    "bare LF in the header": (CONTENT.replace(b"\r\nSubject", b"\nSubject"), 554),
    "control character in the header": (CONTENT.replace(b"row", b"r\x07w"), 554),
    "header line over 998 octets": (b"X-Long: " + b"a" * 1000 + b"\r\n" + CONTENT, 554),
    "header block over 1 MiB": (b"X-Fill: " + b"a" * 900 + b"\r\n" + (b"X: " + b"b" * 900 + b"\r\n") * 1200 + CONTENT, 554),
    "no From": (CONTENT.partition(b"\r\n")[2], 554),
    "several From": (CONTENT.partition(b"\r\n")[0] + b"\r\n" + CONTENT, 554),
    "two mailboxes in From": (CONTENT.replace(AUTHOR.encode(), f"{AUTHOR}, b@{SENDING_DOMAIN}".encode(), 1), 554),
    "group in From": (CONTENT.replace(AUTHOR.encode(), f"x: {AUTHOR};".encode(), 1), 554),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_messages_are_refused_in_step(client: Raw, case: str) -> None:
    content, code = MALFORMED[case]
    client.envelope()
    assert starts(client.content(content), code, "5.6.0")
    assert client.send(b"NOOP\r\n")[0] == 250
    client.envelope()
    assert client.content(CONTENT)[0] == 250


def test_bare_lf_in_the_body_is_a_line_end(world: World, client: Raw) -> None:
    client.envelope()
    reply = client.content(CONTENT + b"one\ntwo")
    assert reply[0] == 250
    assert world.received(reply[1]).content.endswith(b"one\r\ntwo\r\n")


def test_over_long_body_line_is_accepted_and_shortened(world: World, client: Raw) -> None:
    client.envelope()
    reply = client.content(CONTENT + b"y" * 5000)
    assert reply[0] == 250
    content = world.received(reply[1]).content
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"y" * 5000 in world.decoded(content)


def test_more_than_fifty_received_fields(client: Raw) -> None:
    client.envelope()
    received = b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n"
    assert starts(client.content(received * 51 + CONTENT), 554, "5.4.6")


def test_too_many_recipients_and_duplicates_count_once(client: Raw) -> None:
    assert client.send(f"MAIL FROM:<{AUTHOR}>\r\n".encode())[0] == 250
    for number in range(1000):
        assert client.send(f"RCPT TO:<user{number}@capacity.test>\r\n".encode())[0] == 250
    assert client.send(b"RCPT TO:<user7@capacity.test>\r\n")[0] == 250
    assert starts(client.send(b"RCPT TO:<one-more@capacity.test>\r\n"), 452, "4.5.3")
    assert client.send(b"RSET\r\n")[0] == 250


@pytest.mark.parametrize(
    "field",
    [
        "X-Sendry-Template-Id: tmpl_1",
        "X-Sendry-Scheduled-At: whenever",
        "X-Sendry-Track: sometimes",
        "X-Sendry-Idempotency-Key:",
        "X-Sendry-Topic-Id: top_1",
        "X-Sendry-Unsubscribe-Url: mailto:u@example.test",
        "X-Sendry-Variables: {}",
    ],
)
def test_control_header_that_cannot_be_obeyed_is_refused_by_name(client: Raw, field: str) -> None:
    client.envelope()
    reply = client.content(field.encode() + b"\r\n" + CONTENT)
    assert starts(reply, 550, "5.6.0")
    assert field.partition(":")[0].lower() in reply[1].lower()


def test_tags_and_track_none_are_removed(world: World, client: Raw) -> None:
    client.envelope()
    reply = client.content(b"X-Sendry-Tag: kind=welcome\r\nX-Sendry-Track: none\r\n" + CONTENT)
    assert reply[0] == 250
    assert b"x-sendry" not in world.received(reply[1]).content.lower()


def test_suppressed_recipient_is_accepted_and_skipped_while_the_others_get_their_mail(world: World, client: Raw) -> None:
    world.relay.run("suppressions", "add", "gone@example.org")
    world.wait_for_config_change()
    try:
        assert client.send(f"MAIL FROM:<{AUTHOR}>\r\n".encode())[0] == 250
        assert client.send(b"RCPT TO:<gone@example.org>\r\n")[0] == 250
        assert client.send(b"RCPT TO:<user@example.org>\r\n")[0] == 250
        assert client.send(b"DATA\r\n")[0] == 354
        reply = client.content(CONTENT)
        assert starts(reply, 250, "2.0.0")
        mail = world.received(reply[1])
        assert mail.recipients == ["user@example.org"]
        message_id = reply[1].split()[-1]
        events = world.relay.get(f"/v1/emails/{message_id}/events?type=suppressed", world.live_key)[1]["data"]
        assert [event["recipient"] for event in events] == ["gone@example.org"]
    finally:
        world.relay.run("suppressions", "remove", "gone@example.org")
