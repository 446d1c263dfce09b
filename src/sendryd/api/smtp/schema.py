"""Where to submit over SMTP, as the answer has it. Pure."""

from typing_extensions import TypedDict


class SmtpAuth(TypedDict):
    """How to authenticate."""

    username: str
    password: str


class SmtpInfo(TypedDict):
    """Connection settings for the SMTP relay."""

    host: str
    port: int
    tls: bool
    auth: SmtpAuth


def smtp_info_json(hostname: str, port: int) -> SmtpInfo:
    """The settings, in the words of the public documentation."""
    return {
        "host": hostname,
        "port": port,
        "tls": False,
        "auth": {"username": "(any value)", "password": "use any API key with sending_access scope"},
    }
