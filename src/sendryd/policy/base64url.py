"""Base64url without padding, as WebAuthn and JSON Web Tokens write octets. Pure.

Standards: RFC 4648 §5.
"""

import base64


def to_base64url(octets: bytes) -> str:
    """Octets as text.

    >>> to_base64url(bytes([255, 254]))
    '__4'
    """
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    r"""Octets of a text. Raises `ValueError` for any other letter.

    >>> from_base64url("__4")
    b'\xff\xfe'
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
