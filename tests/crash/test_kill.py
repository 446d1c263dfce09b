"""kill -9 under load: whatever was acknowledged, by SMTP or by REST, is delivered or still queued."""

import http.client
import json
import os
import re
import smtplib
import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from typing import Any

import pytest

from sendryd.testing.world import SENDING_DOMAIN, World

CONNECTIONS = 20
MESSAGES = 5_000
REQUESTS = 500
KILLS = int(os.environ.get("SENDRYD_TEST_KILLS", "3"))
AUTHOR = f"hello@{SENDING_DOMAIN}"
MARK = re.compile(rb"\r\nSubject: number (\d+)\r\n")
Client = smtplib.SMTP | http.client.HTTPConnection


class Load(ABC):
    """Twenty clients that go on submitting numbered messages, over new connections when the old ones break."""

    def __init__(self, world: World, total: int) -> None:
        self.world = world
        self.total = total
        self._next = 0
        self._lock = threading.Lock()
        self.acknowledged: dict[int, str] = {}
        self.refused: Counter[int] = Counter()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CONNECTIONS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
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
                time.sleep(0.05)  # as a client does before it tries again
        if client is not None:
            client.close()

    @abstractmethod
    def connect(self) -> Client: ...

    @abstractmethod
    def send(self, client: Any, number: int) -> str:
        """Gives the id of what was acknowledged."""


class SmtpLoad(Load):
    """Submissions. A repeated one is another message."""

    def connect(self) -> smtplib.SMTP:
        smtp = smtplib.SMTP(*self.world.relay.smtp, timeout=30)
        try:
            smtp.starttls(context=ssl.create_default_context(cafile=str(self.world.relay.cert)))
            smtp.login("sendry", self.world.live_key)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def send(self, client: smtplib.SMTP, number: int) -> str:
        client.mail(AUTHOR)
        client.rcpt("user@example.org")
        code, reply = client.data(f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: number {number}\r\n\r\nbody {number}\r\n")
        if code != 250:
            raise smtplib.SMTPResponseException(code, reply)
        return reply.decode().rpartition(" ")[2]


class RestLoad(Load):
    """Requests with a key of their own each, by which a repeated one is known."""

    def connect(self) -> http.client.HTTPConnection:
        host, _, port = self.world.relay.ready["http"].rpartition("//")[2].rpartition(":")
        return http.client.HTTPConnection(host, int(port), timeout=30)

    def send(self, client: http.client.HTTPConnection, number: int) -> str:
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


def kill_under(world: World, load: Load, capsys: pytest.CaptureFixture[str]) -> int:
    """Kills the program again and again; nothing acknowledged may be lost. Gives how many messages came more than once."""
    for name, address in (("SMTP", world.relay.ready["smtp"]), ("HTTP", world.relay.ready["http"].rpartition("//")[2])):
        world.relay.env[f"SENDRYD_{name}_LISTEN"] = address
    load.start()
    for number in range(1, KILLS + 1):
        wanted = number * load.total // (KILLS + 1)
        world.wait_until(lambda wanted=wanted: len(load.acknowledged) >= wanted, timeout=120)  # type: ignore[misc]  # bound now
        world.relay.kill()
        world.relay.start()
    load.join()
    assert len(load.acknowledged) == load.total

    def delivered() -> Counter[int]:
        return Counter(int(match[1]) for mail in list(world.mailhost.mails) if (match := MARK.search(mail.content)))

    world.wait_until(lambda: set(load.acknowledged) <= set(delivered()), timeout=120)
    counts = delivered()
    duplicates = sum(count - 1 for count in counts.values())
    with capsys.disabled():
        print(f"\n{load.total} acknowledged, 0 lost, {duplicates} duplicates after {KILLS} x kill -9")
    world.wait_until(lambda: world.relay.json("queue", "list")["data"] == [], timeout=60)
    for message_id in list(load.acknowledged.values())[:: load.total // 50]:
        status, body = world.relay.get(f"/v1/emails/{message_id}", world.live_key)
        assert (status, body["status"]) == (200, "delivered")
    return duplicates


@pytest.mark.timeout(280)
def test_nothing_acknowledged_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    with World(env={"SENDRYD_LOG_LEVEL": "warning"}) as world:
        duplicates = kill_under(world, SmtpLoad(world, MESSAGES), capsys)
        assert duplicates <= KILLS * 2 * CONNECTIONS * 4  # in flight when the program was killed, at either end


@pytest.mark.timeout(280)
def test_nothing_acknowledged_by_rest_is_lost_and_no_request_is_done_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with World(env={"SENDRYD_LOG_LEVEL": "warning", "SENDRYD_API_RATE_LIMIT": "off"}) as world:
        load = RestLoad(world, REQUESTS)
        duplicates = kill_under(world, load, capsys)
        assert duplicates <= KILLS * 2 * CONNECTIONS  # in flight to the receiver alone
        assert len(set(load.acknowledged.values())) == REQUESTS
        accepted = {re.search(rb"id (em_\w{13})", mail.content)[1].decode() for mail in world.mailhost.mails}  # type: ignore[index]
        assert accepted == set(load.acknowledged.values())
