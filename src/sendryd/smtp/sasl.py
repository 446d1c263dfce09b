"""SASL mechanisms for SMTP: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), as small steps (RFC 4954)."""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

USERNAME_CHALLENGE: Final = b"334 VXNlcm5hbWU6\r\n"  # "Username:"; some clients compare the octets
PASSWORD_CHALLENGE: Final = b"334 UGFzc3dvcmQ6\r\n"  # "Password:"
EMPTY_CHALLENGE: Final = b"334 \r\n"
MECHANISMS: Final = frozenset({"PLAIN", "LOGIN"})


class UndecodableResponse(ValueError):
    """The response is not base64, or not of the mechanism's form: 501 5.5.2."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password, not verified."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, password='***')"


class Exchange:
    """One AUTH dialogue. `step` takes a response line and returns a challenge, or credentials."""

    __slots__ = ("_username", "mechanism")

    def __init__(self, mechanism: str) -> None:
        self.mechanism = mechanism
        self._username: str | None = None

    def start(self, initial: bytes | None) -> bytes | Credentials:
        """The first step; `initial` is the initial response of the AUTH command, or None."""
        if initial is None:
            return EMPTY_CHALLENGE if self.mechanism == "PLAIN" else USERNAME_CHALLENGE
        return self.step(b"" if initial == b"=" else initial)  # RFC 4954 §4: a lone = is an empty response

    def step(self, response: bytes) -> bytes | Credentials:
        """Takes a response line. Raises `UndecodableResponse`."""
        decoded = _decode(response)
        if self.mechanism == "PLAIN":
            parts = decoded.split("\0")
            if len(parts) != 3:  # RFC 4616 §2: authorisation identity, authentication identity, password
                raise UndecodableResponse("a PLAIN response has exactly two NUL characters")
            return Credentials(parts[1], parts[2])
        if self._username is None:
            self._username = decoded
            return PASSWORD_CHALLENGE
        return Credentials(self._username, decoded)


def _decode(response: bytes) -> str:
    try:
        return base64.b64decode(response, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise UndecodableResponse("not base64 of UTF-8") from None
