"""Challenges for those who sign in: each is bound to a purpose and a browser, and expires. Pure.

A challenge is random octets, the moment when it expires, and an HMAC of both with its purpose and the secret of the browser's cookie. Nothing is stored
until one is answered: those who ask for many use up nothing.
Standards: RFC 2104 (HMAC).
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from sendryd.policy.base64url import from_base64url, to_base64url

LIFETIME: Final = timedelta(minutes=5)  # of a passkey's: unlocking a device takes seconds; a person may have to look for it first
CHANCE_SIZE: Final = 16  # octets: WebAuthn §13.4.3 asks for at least these
_MOMENT_SIZE: Final = 8
_MAC_SIZE: Final = 32
_SIZE: Final = CHANCE_SIZE + _MOMENT_SIZE + _MAC_SIZE
_LABEL: Final = b"sendryd challenge 1\0"  # separates the uses of the secret


class Purpose(StrEnum):
    """The purpose of a challenge."""

    ADD_PASSKEY = "add passkey"
    SIGN_IN = "sign in"
    ELEVATE = "elevate"
    PROVIDER = "provider"  # signing in by an identity provider


def make_challenge(secret: bytes, purpose: Purpose, browser: str, *, now: datetime, chance: str, lifetime: timedelta = LIFETIME) -> bytes:
    """A challenge for the browser whose cookie has the secret `browser`; `chance` is a random text of its own.

    >>> now = datetime(2026, 1, 2, tzinfo=UTC)
    >>> made = make_challenge(b"secret", Purpose.SIGN_IN, "cookie", now=now, chance="chance")
    >>> check_challenge(b"secret", Purpose.SIGN_IN, "cookie", made, now=now)
    datetime.datetime(2026, 1, 2, 0, 5, tzinfo=datetime.timezone.utc)
    >>> check_challenge(b"secret", Purpose.SIGN_IN, "another cookie", made, now=now)
    """
    expires = int((now + lifetime).timestamp())
    head = hashlib.sha256(chance.encode("ascii")).digest()[:CHANCE_SIZE] + expires.to_bytes(_MOMENT_SIZE, "big")
    return head + _mac(secret, purpose, browser, head)


def check_challenge(secret: bytes, purpose: Purpose, browser: str, challenge: bytes, *, now: datetime) -> datetime | None:
    """When the challenge expires; None if it has expired, or was made for another purpose or browser."""
    head, mac = challenge[:-_MAC_SIZE], challenge[-_MAC_SIZE:]
    if len(challenge) != _SIZE or not hmac.compare_digest(mac, _mac(secret, purpose, browser, head)):
        return None
    expires = datetime.fromtimestamp(int.from_bytes(head[CHANCE_SIZE:], "big"), UTC)
    return expires if now < expires else None


def derive_secret(secret: bytes, label: str, browser: str, challenge: bytes) -> str:
    """A text of 43 letters that only the installation can make again from a challenge: 256 bits in base64url."""
    return to_base64url(_mac(secret, f"derived {label}", browser, challenge))


def read_challenge(text: str) -> bytes:
    """The octets of a challenge in base64url; empty for what is none."""
    try:
        return from_base64url(text)
    except ValueError:
        return b""


def _mac(secret: bytes, purpose: str, browser: str, head: bytes) -> bytes:
    of_browser = hashlib.sha256(browser.encode("utf-8", "replace")).digest()
    return hmac.new(secret, _LABEL + of_browser + head + purpose.encode("ascii"), hashlib.sha256).digest()
