"""Signature headers, by which a receiver verifies that a notification is authentic. Pure.

Receivers verify in three ways that cannot share one header, so each has its own:
`X-Sendry-Signature`, HMAC over the body, and `Sendry-Signature`, HMAC over time and body, both keyed with the text of the secret, as the
hosted service's client libraries verify; and the three headers of Standard Webhooks (https://www.standardwebhooks.com), keyed with the octets
that the secret encodes. Some documents of the hosted service give the first header to a helper that expects the second one's value: by
setting, the first has that too.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final, Literal

from sendryd.model.webhook import SECRET_PREFIX

Scheme = Literal["body", "timestamped"]  # what X-Sendry-Signature signs

MAX_IDENTITY: Final = 255  # characters: receivers' database columns hold no more


def sign(secret: str, body: bytes, *, identity: str, timestamp: int, scheme: Scheme = "body") -> dict[str, str]:
    """Headers for one attempt.

    `body` is exactly what is sent, `identity` the same for all attempts to tell of the same fact, `timestamp` the seconds since 1970 of
    this attempt. Raises `ValueError` if the secret is not `whsec_` and base 64, or the identity cannot stand in a header.
    """
    if not identity or len(identity) > MAX_IDENTITY or not identity.isascii() or not identity.isprintable() or "." in identity:
        raise ValueError("the identity of a notification is printable ASCII without dots")
    text_key, octets_key = secret.encode(), _decode(secret)
    moment = str(timestamp).encode()
    standard = hmac.digest(octets_key, b".".join((identity.encode(), moment, body)), hashlib.sha256)
    timestamped = f"t={timestamp},v1={hmac.digest(text_key, moment + b'.' + body, hashlib.sha256).hex()}"
    return {
        "X-Sendry-Signature": timestamped if scheme == "timestamped" else f"sha256={hmac.digest(text_key, body, hashlib.sha256).hex()}",
        "Sendry-Signature": timestamped,
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
    }


def _decode(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"the secret of a webhook begins with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("the secret of a webhook is base 64") from None
    if not key:
        raise ValueError("the secret of a webhook is empty")
    return key
