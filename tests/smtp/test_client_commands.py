"""Commands: what each looks like on the wire, and that nothing in one can begin another."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.smtp import client_commands
from sendryd.smtp.client_commands import MAX_AUTH_LINE, MAX_COMMAND, Command, auth_answer, auth_plain, ehlo, helo, mail, rcpt
from sendryd.smtp.errors import LocalProtocolError
from sendryd.smtp.states import Verb
from sendryd.testing.cases import cases

CONTROLS = [chr(octet) for octet in (*range(0x20), 0x7F)]


@cases(
    ("command", "line"),
    [
        (ehlo("relay.example.test"), b"EHLO relay.example.test\r\n"),
        (ehlo("[192.0.2.1]"), b"EHLO [192.0.2.1]\r\n"),
        (helo("relay.example.test"), b"HELO relay.example.test\r\n"),
        (mail("a@example.test"), b"MAIL FROM:<a@example.test>\r\n"),
        (mail(""), b"MAIL FROM:<>\r\n"),
        (mail("a@example.test", ("SIZE=10", "BODY=8BITMIME")), b"MAIL FROM:<a@example.test> SIZE=10 BODY=8BITMIME\r\n"),
        (rcpt('"a b"@example.org', ("NOTIFY=NEVER",)), b'RCPT TO:<"a b"@example.org> NOTIFY=NEVER\r\n'),
        (rcpt("ü@example.org"), "RCPT TO:<ü@example.org>\r\n".encode()),
        (client_commands.STARTTLS, b"STARTTLS\r\n"),
        (client_commands.DATA, b"DATA\r\n"),
        (client_commands.RSET, b"RSET\r\n"),
        (client_commands.NOOP, b"NOOP\r\n"),
        (client_commands.QUIT, b"QUIT\r\n"),
        (client_commands.AUTH_LOGIN, b"AUTH LOGIN\r\n"),
        (auth_plain("sendry", "key"), b"AUTH PLAIN AHNlbmRyeQBrZXk=\r\n"),
        (auth_answer("sendry"), b"c2VuZHJ5\r\n"),
    ],
)
def test_what_a_command_looks_like(command: Command, line: bytes) -> None:
    assert command.line == line


@cases("control", CONTROLS)
def test_a_control_character_in_a_command_cannot_be_constructed(control: str) -> None:
    makers: list[Callable[[str], Command]] = [
        lambda text: ehlo(f"relay{text}.test"),
        lambda text: helo(f"relay.test{text}"),
        lambda text: mail(f"a{text}@example.test"),
        lambda text: mail("a@example.test", (f"ENVID=x{text}",)),
        lambda text: rcpt(f"{text}b@example.org"),
        lambda text: rcpt("b@example.org", (f"NOTIFY=NEVER{text}",)),
    ]
    for make in makers:
        with pytest.raises(LocalProtocolError):
            make(control)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_whatever_an_address_holds_a_command_is_one_line(path: str, parameters: list[str]) -> None:
    for make in (mail, rcpt):
        try:
            command = make(path, parameters)
        except LocalProtocolError:
            continue
        assert command.line.splitlines(keepends=True) == [command.line]
        assert command.line.endswith(b"\r\n")


@cases("line", [b"NOOP", b"NOOP\n", b"NOOP\r", b"\n", b"NOOP\r\nQUIT\r\n", b"NOOP \x7f\r\n"])
def test_a_line_without_the_one_line_end_is_no_command(line: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        Command(Verb.NOOP, line)


def test_a_command_has_a_limit_and_a_login_a_wider_one() -> None:
    room = MAX_COMMAND - len(b"RCPT TO:<>\r\n")
    assert len(rcpt("x" * room).line) == MAX_COMMAND
    with pytest.raises(LocalProtocolError):
        rcpt("x" * (room + 1))
    assert len(auth_answer("x" * MAX_COMMAND).line) > MAX_COMMAND
    with pytest.raises(LocalProtocolError):
        auth_answer("x" * MAX_AUTH_LINE)


@pytest.mark.parametrize("name", ["bücher.test", "relay\udc80.test"])
def test_a_name_that_is_not_ascii_is_no_name_for_ehlo(name: str) -> None:
    for make in (ehlo, helo):
        with pytest.raises(LocalProtocolError):
            make(name)


@pytest.mark.parametrize(("user", "password"), [("a\0b", "key"), ("a", "k\0ey")])
def test_a_nul_in_credentials_is_refused(user: str, password: str) -> None:
    with pytest.raises(LocalProtocolError):
        auth_plain(user, password)


@given(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=50),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=50),
)
def test_credentials_come_through_whole(user: str, password: str) -> None:
    assert base64.b64decode(auth_plain(user, password).line.removeprefix(b"AUTH PLAIN ")) == f"\0{user}\0{password}".encode()
    assert base64.b64decode(auth_answer(password).line) == password.encode()


def test_a_password_is_in_no_representation() -> None:
    for command in (auth_plain("sendry", "hunter2"), auth_answer("hunter2")):
        assert "hunter2" not in repr(command)
        assert base64.b64encode(b"hunter2").decode() not in repr(command)
        assert command.line.decode().strip() not in repr(command)


def test_an_rcpt_knows_whose_reply_it_awaits() -> None:
    assert rcpt("b@example.org", ("NOTIFY=NEVER",)).recipient == "b@example.org"
    assert mail("a@example.test").recipient == ""
