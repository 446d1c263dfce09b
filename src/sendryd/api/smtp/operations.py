"""Where to submit over SMTP."""

from sendryd.api.framework.operation import Call, Operation
from sendryd.api.smtp.schema import SmtpInfo, smtp_info_json


class SmtpInfoHandlers:
    """One operation."""

    def __init__(self, hostname: str, port: int) -> None:
        self._hostname = hostname
        self._port = port

    def operations(self) -> list[Operation]:
        """The declaration."""
        return [Operation("SMTP", "GET /v1/smtp/info", self.get)]

    async def get(self, _call: Call[None, None]) -> SmtpInfo:
        """Get the connection settings for SMTP.

        The password is an API key.
        """
        return smtp_info_json(self._hostname, self._port)
