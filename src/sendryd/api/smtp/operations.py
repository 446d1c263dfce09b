"""Where to submit over SMTP."""

from typing import Final

from sendryd.api.framework.group import Group
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.smtp.schema import SmtpInfo, smtp_info_json

GROUP: Final = Group("SMTP", "Connection settings for the SMTP relay.")


class SmtpInfoHandlers:
    """One operation."""

    def __init__(self, hostname: str, port: int) -> None:
        self._hostname = hostname
        self._port = port

    def operations(self) -> list[Operation]:
        """The declaration."""
        return [Operation(GROUP, "GET /v1/smtp/info", self.get)]

    async def get(self, _call: Call[None, None]) -> SmtpInfo:
        """Get the connection settings for SMTP.

        The password is an API key.
        """
        return smtp_info_json(self._hostname, self._port)
