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
        return [
            Operation(
                method="GET",
                path="/v1/smtp/info",
                group="SMTP",
                summary="Get the settings for SMTP submission",
                handler=self.get,
            )
        ]

    async def get(self, _call: Call[None, None]) -> SmtpInfo:
        """`GET /v1/smtp/info`, as the public documentation shows it."""
        return smtp_info_json(self._hostname, self._port)
