"""A world on loopback: the real program, a name server and a receiving mail server, with one verified sending domain.

Synchronous: the two servers run in a thread of their own.
"""

import email
import email.message
import re
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sendryd.message.dkim import verify
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import write_self_signed
from sendryd.runtime.tls import server_context
from sendryd.testing.clients import RestClient
from sendryd.testing.loopthread import LoopThread
from sendryd.testing.mailhost import ReceivedMail, ReceivingServer, Script
from sendryd.testing.nameserver import NameServer
from sendryd.testing.process import RelayFailed, RelayProcess
from sendryd.testing.waiting import pause, wait_until

SENDING_DOMAIN: Final = "example.test"
RECIPIENT_DOMAIN: Final = "example.org"
MAIL_TIMEOUT: Final = 60.0  # seconds until a message must have arrived; a machine that runs tests is busy


class World:
    """The three servers. A context manager with the attributes `relay`, `nameserver` and `mailhost`."""

    def __init__(
        self,
        directory: Path | None = None,
        *,
        env: Mapping[str, str] | None = None,
        script: Script | None = None,
        does_use_tls: bool = True,
        tls: ssl.SSLContext | None = None,
        args: tuple[str, ...] = (),
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory() if directory is None else None
        self.directory = directory or Path(self._temporary.name if self._temporary else "")
        self.thread = LoopThread()
        self.nameserver = NameServer(
            {
                (RECIPIENT_DOMAIN, "MX"): ["10 mx.example.org."],
                ("mx.example.org", "A"): ["127.0.0.1"],
                ("capacity.test", "MX"): ["10 mx.example.org."],
            }
        )
        cert, key = self.directory / "mx-cert.pem", self.directory / "mx-key.pem"
        write_self_signed(cert, key, "mx.example.org", SystemClock())
        self.mailhost = self.thread.run(self._make_mailhost(tls or (server_context(cert, key) if does_use_tls else None), script))
        self.thread.run(self.nameserver.start())
        self.relay = RelayProcess(
            self.directory / "data",
            {
                "SENDRYD_DNS_RESOLVER": f"127.0.0.1:{self.nameserver.port}",
                "SENDRYD_MX_PORT": str(self.mailhost.port),
                **(env or {}),
            },
            args=args,
        )

    @staticmethod
    async def _make_mailhost(tls: ssl.SSLContext | None, script: Script | None) -> ReceivingServer:
        server = ReceivingServer(tls=tls, script=script)
        await server.start()
        return server

    def __enter__(self) -> Self:
        try:
            self.relay.start()
            self.publish(SENDING_DOMAIN)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.relay.is_running:
            self.relay.kill()
        self.thread.run(self.mailhost.aclose())
        self.thread.run(self.nameserver.aclose())
        self.thread.close()
        if self._temporary:
            self._temporary.cleanup()

    @property
    def live_key(self) -> str:
        """The full-access key of the first start."""
        return self.relay.keys["live"]

    @property
    def test_key(self) -> str:
        """The test key of the first start."""
        return self.relay.keys["test"]

    def publish(self, name: str) -> None:
        """Adds a sending domain, publishes its records, and has it verified."""
        if self._has_plain_api:  # several times as fast as starting a program for each step
            rest = RestClient(self.relay, self.live_key)
            domain = rest.post("/v1/domains", {"name": name})
            self._publish(domain["dns_records"])
            verified = rest.post(f"/v1/domains/{domain['id']}/verify")
        else:
            self._publish(self.relay.add_domain(name))
            verified = self.relay.json("domains", "verify", name)
            self.wait_for_config_change()
        if verified["status"] != "verified":
            raise RelayFailed(f"{name} is not verified: {verified}")

    @property
    def _has_plain_api(self) -> bool:
        return self.relay.ready.get("http", "").startswith("http://") and self.relay.env["SENDRYD_API_RATE_LIMIT"] == "off"

    def _publish(self, records: Iterable[Mapping[str, str]]) -> None:
        for record in records:
            self.nameserver.set_text(record["name"], record["value"])

    def wait_for_config_change(self) -> None:
        """Waits until a running server has seen a change by the command line: within a second, and unreported."""
        pause(0.6)

    def wait_until(self, is_done: Callable[[], bool], timeout: float = MAIL_TIMEOUT) -> None:
        """Polls. Raises `RelayFailed` after `timeout` seconds."""
        if not wait_until(is_done, timeout):
            raise RelayFailed(f"not in {timeout} s: {self.relay.log_tail()}")

    def received(self, reply: str) -> ReceivedMail:
        """The message of this acceptance reply, once the mail host has it."""
        match = re.search(r"em_\w{13}", reply)
        if not match:
            raise RelayFailed(f"no message id in {reply!r}")
        mark = f"id {match[0]}".encode()
        self.wait_until(lambda: any(mark in mail.content for mail in self.mailhost.mails))
        return next(mail for mail in self.mailhost.mails if mark in mail.content)

    def wait_for_mail(self, subject: str) -> ReceivedMail:
        """The message with this subject, once the mail host has it."""
        mark = f"\r\nSubject: {subject}\r\n".encode()
        self.wait_until(lambda: any(mark in mail.content for mail in self.mailhost.mails))
        return next(mail for mail in self.mailhost.mails if mark in mail.content)

    def check_signature(self, content: bytes) -> None:
        """Raises `RelayFailed` unless a DKIM signature verifies against the published record."""
        fault = verify(content, self.published)
        if fault is not None:
            raise RelayFailed(f"the signature does not verify: {fault}")

    def published(self, name: str) -> str | None:
        """The TXT record of a name, its strings joined."""
        values = self.nameserver.zone.get((name.rstrip(".").lower(), "TXT"))
        return "".join(re.findall(r'"([^"]*)"', values[0])) if values else None

    @staticmethod
    def decoded(content: bytes) -> bytes:
        """The decoded content of all leaf parts, by the standard library."""
        message: email.message.Message = email.message_from_bytes(content)
        payloads = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
        return b"".join(payload for payload in payloads if isinstance(payload, bytes))
