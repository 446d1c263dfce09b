"""Clients that keep submitting numbered messages while the program is killed, stopped or starved; and a count of the arrivals."""

import http.client
import json
import re
import smtplib
import ssl
import threading
from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, Final

from sendryd.testing.waiting import pause
from sendryd.testing.world import SENDING_DOMAIN, World

CONNECTIONS: Final = 20
AUTHOR: Final = f"hello@{SENDING_DOMAIN}"
PAUSE: Final = 0.05  # seconds between a client's attempts
_MARK: Final = re.compile(rb"\r\nSubject: number (\d+)\r\n")
Client = smtplib.SMTP | http.client.HTTPConnection


class Load(ABC):
    """Twenty clients that keep submitting numbered messages, over new connections when the old ones break."""

    def __init__(self, world: World, total: int, *, interval: float = 0.0) -> None:
        self.world = world
        self.total = total
        self._interval = interval  # seconds between two messages of a client
        self._next = 0
        self._lock = threading.Lock()
        self.acknowledged: dict[int, str] = {}
        self.refused: Counter[int] = Counter()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CONNECTIONS)]

    def start(self) -> None:
        """Starts the clients."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Takes no more messages than those that were begun; a load of unknown length ends so."""
        with self._lock:
            self.total = self._next

    def join(self) -> None:
        """Waits until all messages are acknowledged."""
        for thread in self._threads:
            thread.join(240)
            assert not thread.is_alive()

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= self.total:
                return None
            self._next += 1
            return self._next

    def _run(self) -> None:
        client: Any = None
        while (number := self._take()) is not None:
            while True:
                try:
                    if client is None:
                        client = self.connect()
                    self.acknowledged[number] = self.send(client, number)
                    break
                except (OSError, smtplib.SMTPException, http.client.HTTPException) as error:
                    if isinstance(error, smtplib.SMTPResponseException):
                        self.refused[error.smtp_code] += 1
                    if client is not None:
                        client.close()
                    client = None
                pause(PAUSE)
            pause(self._interval)
        if client is not None:
            client.close()

    def delivered(self) -> Counter[int]:
        """The number of arrivals of each message."""
        return Counter(int(match[1]) for mail in list(self.world.mailhost.mails) if (match := _MARK.search(mail.content)))

    @abstractmethod
    def connect(self) -> Client:
        """A new connection, logged in."""

    @abstractmethod
    def send(self, client: Any, number: int) -> str:
        """Submits one message; returns the acknowledged id."""


class SmtpLoad(Load):
    """Load over SMTP. A repeated submission is another message."""

    def connect(self) -> smtplib.SMTP:
        """After STARTTLS and AUTH."""
        smtp = smtplib.SMTP(*self.world.relay.smtp, timeout=30)
        try:
            smtp.starttls(context=ssl.create_default_context(cafile=str(self.world.relay.cert)))
            smtp.login("sendry", self.world.live_key)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def send(self, client: smtplib.SMTP, number: int) -> str:
        """One transaction."""
        client.mail(AUTHOR)
        client.rcpt("user@example.org")
        code, reply = client.data(f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: number {number}\r\n\r\nbody {number}\r\n")
        if code != 250:
            raise smtplib.SMTPResponseException(code, reply)
        return reply.decode().rpartition(" ")[2]


class RestLoad(Load):
    """Load over REST. Each message has an idempotency key, so a repeated request is recognised."""

    def connect(self) -> http.client.HTTPConnection:
        """It connects with its first request."""
        host, _, port = self.world.relay.ready["http"].rpartition("//")[2].rpartition(":")
        return http.client.HTTPConnection(host, int(port), timeout=30)

    def send(self, client: http.client.HTTPConnection, number: int) -> str:
        """One request."""
        headers = {
            "Authorization": f"Bearer {self.world.live_key}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"number-{number}",
        }
        email = {"from": AUTHOR, "to": ["user@example.org"], "subject": f"number {number}", "text": f"body {number}"}
        client.request("POST", "/v1/emails", json.dumps(email), headers)
        with client.getresponse() as response:
            body = json.loads(response.read())
            if response.status != http.client.OK:
                raise http.client.HTTPException(f"{response.status} {body}")
        return str(body["id"])
