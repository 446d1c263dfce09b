"""kill -9 under load: whatever was acknowledged is delivered or still queued."""

import os
import re
import smtplib
import ssl
import threading
import time
from collections import Counter

import pytest

from sendryd.testing.world import SENDING_DOMAIN, World

CONNECTIONS = 20
MESSAGES = 5_000
KILLS = int(os.environ.get("SENDRYD_TEST_KILLS", "3"))
AUTHOR = f"hello@{SENDING_DOMAIN}"
MARK = re.compile(rb"\r\nX-Number: (\d+)\r\n")


class Load:
    """Twenty clients that go on submitting numbered messages, over new connections when the old ones break."""

    def __init__(self, world: World, total: int) -> None:
        self._world = world
        self._total = total
        self._next = 0
        self._lock = threading.Lock()
        self._context = ssl.create_default_context(cafile=str(world.relay.cert))
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
            if self._next >= self._total:
                return None
            self._next += 1
            return self._next

    def _run(self) -> None:
        smtp: smtplib.SMTP | None = None
        while (number := self._take()) is not None:
            while True:
                try:
                    if smtp is None:
                        smtp = self._connect()
                    self._send(smtp, number)
                    break
                except (OSError, smtplib.SMTPException) as error:
                    if isinstance(error, smtplib.SMTPResponseException):
                        self.refused[error.smtp_code] += 1
                    if smtp is not None:
                        smtp.close()
                    smtp = None
                time.sleep(0.05)  # as a client does before it tries again
        if smtp is not None:
            smtp.close()

    def _connect(self) -> smtplib.SMTP:
        smtp = smtplib.SMTP(*self._world.relay.smtp, timeout=30)
        try:
            smtp.starttls(context=self._context)
            smtp.login("sendry", self._world.live_key)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _send(self, smtp: smtplib.SMTP, number: int) -> None:
        smtp.mail(AUTHOR)
        smtp.rcpt("user@example.org")
        code, reply = smtp.data(f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: n\r\nX-Number: {number}\r\n\r\nbody {number}\r\n")
        if code != 250:
            raise smtplib.SMTPResponseException(code, reply)
        self.acknowledged[number] = reply.decode().rpartition(" ")[2]


@pytest.mark.timeout(280)
def test_nothing_acknowledged_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    with World(env={"SENDRYD_LOG_LEVEL": "warning"}) as world:
        port = world.relay.smtp[1]
        world.relay.env["SENDRYD_SMTP_LISTEN"] = f"127.0.0.1:{port}"
        load = Load(world, MESSAGES)
        load.start()
        for number in range(1, KILLS + 1):
            wanted = number * MESSAGES // (KILLS + 1)
            world.wait_until(lambda wanted=wanted: len(load.acknowledged) >= wanted, timeout=120)  # type: ignore[misc]  # bound now
            world.relay.kill()
            world.relay.start()
        load.join()
        assert len(load.acknowledged) == MESSAGES

        def delivered() -> Counter[int]:
            return Counter(int(match[1]) for mail in list(world.mailhost.mails) if (match := MARK.search(mail.content)))

        world.wait_until(lambda: set(load.acknowledged) <= set(delivered()), timeout=120)
        counts = delivered()
        duplicates = sum(count - 1 for count in counts.values())
        with capsys.disabled():
            print(f"\n{MESSAGES} acknowledged, 0 lost, {duplicates} duplicates after {KILLS} x kill -9")
        assert duplicates <= KILLS * 2 * CONNECTIONS * 4  # in flight when the program was killed, at either end
        world.wait_until(lambda: world.relay.json("queue", "list")["data"] == [], timeout=60)
        for message_id in list(load.acknowledged.values())[:: MESSAGES // 50]:
            status, body = world.relay.get(f"/v1/emails/{message_id}", world.live_key)
            assert (status, body["status"]) == (200, "delivered")
