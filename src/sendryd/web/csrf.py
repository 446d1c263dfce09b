"""A token in every form that proves that one of our own pages made the request.

The token is an HMAC of the session's secret, masked with random octets on each page: an answer that is compressed together with something an
attacker chose does not give it away (BREACH).
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

_PURPOSE: Final = b"form"
_SIZE: Final = 32  # octets of the mask and of the MAC


def make_token(session_secret: str, chance: str) -> str:
    """The token of a session, masked by `chance`, a random text of its own for each page.

    >>> token = make_token("secret", "chance")
    >>> is_token("secret", token), is_token("other", token)
    (True, False)
    """
    mask = hashlib.sha256(chance.encode("ascii")).digest()
    masked = bytes(a ^ b for a, b in zip(_mac(session_secret), mask, strict=True))
    return base64.urlsafe_b64encode(mask + masked).decode("ascii")


def is_token(session_secret: str, token: str) -> bool:
    """Whether a token was made with this secret."""
    try:
        octets = base64.urlsafe_b64decode(token.encode("ascii", "replace"))
    except (binascii.Error, ValueError):
        return False
    if len(octets) != 2 * _SIZE:
        return False
    found = bytes(a ^ b for a, b in zip(octets[:_SIZE], octets[_SIZE:], strict=True))
    return hmac.compare_digest(found, _mac(session_secret))


def _mac(session_secret: str) -> bytes:
    return hmac.new(session_secret.encode("utf-8", "replace"), _PURPOSE, hashlib.sha256).digest()
