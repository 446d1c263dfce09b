"""A shell for the server machine that accepts everything, in memory: for tests of dialogues."""

from collections.abc import Callable, Iterable

from sendryd.smtp.events import (
    NEED_DATA,
    PAUSED,
    Connected,
    CredentialsOffered,
    DataEnded,
    DataRequested,
    Hello,
    MailFrom,
    RcptTo,
    StartTLSRequested,
)
from sendryd.smtp.profile import SUBMISSION, Profile
from sendryd.smtp.reply import Reply, make_reply
from sendryd.smtp.server import ServerConnection, ServerLimits
from sendryd.smtp.server_replies import OK

AUTH = b"AUTH PLAIN AHNlbmRyeQBrZXk=\r\n"  # NUL sendry NUL key


class Shell:
    """Feeds bytes to the machine, answers its events, and records both."""

    def __init__(self, *, encrypted: bool = False, limits: ServerLimits | None = None, profile: Profile = SUBMISSION) -> None:
        limits = limits or ServerLimits()
        self.machine = ServerConnection(hostname="mail.example.test", limits=limits, profile=profile, encrypted=encrypted)
        self.events: list[object] = []
        self.output = b""
        self.refuse: Callable[[object], Reply | None] = lambda _event: None
        self._pump()

    def feed(self, data: bytes) -> bytes:
        """Feeds bytes of the client; returns the server's answer."""
        start = len(self.output)
        self.machine.receive_data(data)
        self._pump()
        return self.output[start:]

    def feed_all(self, pieces: Iterable[bytes]) -> bytes:
        """Feeds several inputs in turn."""
        return b"".join(self.feed(piece) for piece in pieces)

    def _pump(self) -> None:
        while (event := self.machine.next_event()) is not NEED_DATA:
            assert event is not PAUSED
            self.events.append(event)
            self._answer(event)
            self.output += self.machine.data_to_send()
        self.output += self.machine.data_to_send()

    def _answer(self, event: object) -> None:
        refusal = self.refuse(event)
        if refusal is not None:
            self.machine.reply(refusal)
            return
        match event:
            case Connected():
                self.machine.reply(Reply(220, "mail.example.test ESMTP"))
            case Hello():
                self.machine.accept_hello()
            case StartTLSRequested():
                self.machine.reply(make_reply(220, "2.0.0", "Go"))
                self.output += self.machine.data_to_send()
                self.machine.tls_established()
            case CredentialsOffered():
                self.machine.reply(make_reply(235, "2.7.0", "Yes"))
            case MailFrom() | RcptTo():
                self.machine.reply(make_reply(250, "2.1.0", "Ok"))
            case DataRequested():
                self.machine.reply(Reply(354, "Go"))
            case DataEnded():
                self.machine.reply(OK)
            case _:
                pass

    def log_in(self) -> "Shell":
        """EHLO and AUTH."""
        assert self.feed(b"EHLO vm\r\n").startswith(b"250")
        assert self.feed(AUTH).startswith(b"235 ")
        return self

    def envelope(self) -> "Shell":
        """MAIL, RCPT and DATA."""
        assert self.feed(b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n").endswith(b"354 Go\r\n")
        return self

    @property
    def contents(self) -> list[bytes]:
        """The accepted contents."""
        return [event.content for event in self.events if isinstance(event, DataEnded)]
