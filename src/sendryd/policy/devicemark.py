"""The mark of a browser in which a person was signed in before: other people's failed sign-ins do not slow that person down there. Pure.

HMAC-SHA256 (RFC 2104) of the person's email under the installation's secret.
"""

import hashlib
import hmac
from typing import Final

from sendryd.policy.address_key import normalise_address

_PURPOSE: Final = b"sendryd device 1\0"  # separates the uses of the secret


def make_device_mark(secret: bytes, email: str) -> str:
    """The mark for the person of an email.

    >>> is_device_mark(b"secret", "Ann@acme.example ", make_device_mark(b"secret", "ann@acme.example"))
    True
    """
    canonical = normalise_address(email.strip().encode("utf-8", "replace").decode())
    return hmac.new(secret, _PURPOSE + canonical.encode(), hashlib.sha256).hexdigest()


def is_device_mark(secret: bytes, email: str, mark: str) -> bool:
    """Whether a mark is the one for the person of an email."""
    return hmac.compare_digest(mark.encode("utf-8", "replace"), make_device_mark(secret, email).encode("ascii"))
