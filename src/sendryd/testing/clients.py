"""Plain SMTP and REST clients of the real program, for tests. They never retry, so a test sees exactly what the server did."""

import http.client
import json
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sendryd.testing.http import Answer
from sendryd.testing.process import RelayProcess

TIMEOUT: Final = 60.0  # seconds for one request


class RestClient:
    """The REST API with one key. Each request has a connection of its own, so threads may share a client."""

    def __init__(self, relay: RelayProcess, key: str) -> None:
        self._relay = relay
        self.key = key

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the HTTP listener, which change when the program restarts."""
        host, _, port = self._relay.ready["http"].rpartition("//")[2].rpartition(":")
        return host, int(port)

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request. A body is sent as JSON, bytes as they are. Raises OSError, also where the connection ends before the answer does."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self.address, timeout=TIMEOUT)
        try:
            fields = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, body=data, headers=fields)
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        except http.client.HTTPException as error:
            raise ConnectionError("the connection ended before the answer did") from error
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON of a GET that succeeds."""
        return self._demand("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a POST that succeeds."""
        return self._demand("POST", path, body)

    def _demand(self, method: str, path: str, body: Any) -> Any:
        answer = self.request(method, path, body)
        if answer.status != http.client.OK:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.body!r}")
        return answer.json

    def events(self, email_id: str, recipient: str | None = None) -> list[str]:
        """The types of an email's events, oldest first; optionally of one recipient."""
        data = self.get(f"/v1/emails/{email_id}/events?limit=100")["data"]
        return [event["type"] for event in reversed(data) if recipient in {None, event["recipient"]}]


def submit(relay: RelayProcess, key: str, sender: str, recipients: Sequence[str], content: bytes) -> tuple[int, str]:
    """Submits one message over SMTP; returns the reply to its content."""
    with smtplib.SMTP(*relay.smtp, timeout=TIMEOUT) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(relay.cert)))
        smtp.login("sendry", key)
        smtp.mail(sender)
        for recipient in recipients:
            code, reply = smtp.rcpt(recipient)
            if code != 250:
                raise AssertionError(f"{recipient}: {code} {reply!r}")
        code, reply = smtp.data(content)
        return code, reply.decode()
