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
import re
from collections.abc import Sequence
from typing import Final, Literal

from sendryd.model.webhook import SECRET_PREFIX

Scheme = Literal["body", "timestamped"]  # what X-Sendry-Signature signs

MAX_IDENTITY: Final = 255  # characters: receivers' database columns hold no more

# Signatures, ids and times in a text that was pasted, with the octets that a line of a log has around them.
_BARE: Final = re.compile(r"sha256=([0-9a-f]{64})(?![0-9a-f])")
_TIMESTAMPED: Final = re.compile(r"v1=([0-9a-f]{64})(?![0-9a-f])")
_STANDARD: Final = re.compile(r"v1,([A-Za-z0-9+/]{43}=)")
_ID: Final = re.compile(r"webhook-id[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9_-]{1,255})", re.IGNORECASE)
_TIME: Final = re.compile(r"(?:webhook-timestamp[\"']?\s*[:=]\s*[\"']?|\bt=)([0-9]{1,12})", re.IGNORECASE)


def sign(
    secret: str, body: bytes, *, identity: str, timestamp: int, scheme: Scheme = "body", previous: str | None = None
) -> dict[str, str]:
    """Headers for one attempt.

    `body` is exactly what is sent, `identity` the same for all attempts to tell of the same fact, `timestamp` the seconds since 1970 of
    this attempt. `previous` is the secret before a rotation, while it is valid too: Standard Webhooks and `Sendry-Signature` carry both
    signatures; where one value is all there is room for, or a verifier takes the last of two, it is that of `previous`. Raises `ValueError`
    if a secret is not `whsec_` and base 64, or the identity cannot stand in a header.
    """
    if not identity or len(identity) > MAX_IDENTITY or not identity.isascii() or not identity.isprintable() or "." in identity:
        raise ValueError("the identity of a notification is printable ASCII without dots")
    secrets = [secret] if previous is None else [secret, previous]
    timestamped = ",".join([f"t={timestamp}", *(f"v1={_timestamped(each, body, str(timestamp))}" for each in secrets)])
    return {
        "X-Sendry-Signature": timestamped if scheme == "timestamped" else f"sha256={_bare(secrets[-1], body)}",
        "Sendry-Signature": timestamped,
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_standard(each, body, identity, str(timestamp))}" for each in secrets),
    }


def sign_with_any(secret: str, body: bytes, *, identity: str, timestamp: int, scheme: Scheme = "body") -> dict[str, str]:
    """As `sign`, for a secret that its owner may have chosen. One that is no webhook secret gives no headers of Standard Webhooks."""
    try:
        return sign(secret, body, identity=identity, timestamp=timestamp, scheme=scheme)
    except ValueError:
        timestamped = f"t={timestamp},v1={_timestamped(secret, body, str(timestamp))}"
        plain = timestamped if scheme == "timestamped" else f"sha256={_bare(secret, body)}"
        return {"X-Sendry-Signature": plain, "Sendry-Signature": timestamped, "webhook-id": identity, "webhook-timestamp": str(timestamp)}


def recognise(pasted: str, body: bytes, secrets: Sequence[str], *, identity: str = "", timestamp: str = "") -> str | None:
    """The secret that made one of the signatures in a text: headers as a log has them, or a bare value. None: none of these secrets did.

    Id and time are read from the text where it has them; `identity` and `timestamp` are for a bare value. Raises `ValueError` if the text
    has no signature.
    """
    ids = [*_ID.findall(pasted), identity]
    times = [*_TIME.findall(pasted), timestamp]
    bare, timestamped, standard = _BARE.findall(pasted), _TIMESTAMPED.findall(pasted), _STANDARD.findall(pasted)
    if not bare and not timestamped and not standard:
        raise ValueError("the text has no signature: paste a header such as webhook-signature with its value")
    for secret in secrets:
        expected = [_bare(secret, body) for _ in bare]
        expected += [_timestamped(secret, body, moment) for moment in times]
        expected += [_standard(secret, body, each, moment) for each in ids for moment in times]
        given = [*bare, *timestamped, *standard]
        if any(hmac.compare_digest(one, other) for one in given for other in expected):
            return secret
    return None


def _bare(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def _timestamped(secret: str, body: bytes, moment: str) -> str:
    return hmac.digest(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hex()


def _standard(secret: str, body: bytes, identity: str, moment: str) -> str:
    signed = b".".join((identity.encode(), moment.encode(), body))
    return base64.b64encode(hmac.digest(_decode(secret), signed, hashlib.sha256)).decode()


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
