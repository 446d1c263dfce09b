"""The real program with two mail servers, of which one has no TLS, for the tests of transport security."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import ReceivingServer
from sendryd.testing.world import SENDING_DOMAIN, World


@dataclass(slots=True)
class Receivers:
    """The world, the mail server without TLS, and a client of the API."""

    world: World
    clear: ReceivingServer
    rest: RestClient

    def send(self, domain: str) -> str:
        sent = self.rest.post(
            "/v1/emails", {"from": f"hello@{SENDING_DOMAIN}", "to": f"user@{domain}", "subject": f"to {domain}", "text": "body"}
        )
        return str(sent["id"])

    def event(self, message_id: str, kind: str) -> Mapping[str, Any]:
        """The metadata of the message's first event of a type, once there is one."""
        found: list[Mapping[str, Any]] = []

        def look() -> bool:
            page = self.rest.get(f"/v1/emails/{message_id}/events?limit=100")
            found.extend(each["metadata"] for each in reversed(page["data"]) if each["type"] == kind)
            return bool(found)

        self.world.wait_until(look)
        return found[0]

    def subjects(self) -> list[bytes]:
        """Of the mails that either server has taken."""
        mails = [*self.world.mailhost.mails, *self.clear.mails]
        return [line for mail in mails for line in mail.content.split(b"\r\n") if line.startswith(b"Subject: ")]
