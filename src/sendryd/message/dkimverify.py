"""Verifies DKIM signatures of mail from elsewhere (RFC 6376, RFC 8301, RFC 8463): rsa-sha256 and ed25519-sha256, both canonicalisations.

A signature that covers only a part of the body (`l=`) is not accepted: anything could follow it. Linear in the size of the mail for each signature.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from sendryd.message.dkim import body_hash, relax_field
from sendryd.message.headers import HeaderBlock, HeaderField

MAX_SIGNATURES: Final = 5  # of one mail that are verified: real ones have one to three, and each costs a look-up and a hash of the body
MIN_RSA_BITS: Final = 1024  # RFC 8301 §3.2
_TAG: Final = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9_]*)\s*=\s*(.*?)\s*\Z", re.DOTALL)
_SIGNATURE_VALUE: Final = re.compile(rb"([;\s]b\s*=)[^;]*")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,20}")
_ALGORITHMS: Final = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}


class DkimResult(StrEnum):
    """RFC 8601 §2.7.1."""

    PASS = "pass"  # noqa: S105 - a result, and no secret
    FAIL = "fail"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM-Signature field that can be verified."""

    field: HeaderField
    algorithm: str
    domain: str  # lower case
    selector: str
    identity: str  # the domain of i=, lower case
    names: tuple[bytes, ...]  # of the signed fields, lower case
    is_header_simple: bool
    is_body_simple: bool
    hashed_body: bytes
    value: bytes

    @property
    def key_name(self) -> str:
        """Where its key is published."""
        return f"{self.selector}._domainkey.{self.domain}"


def read_signatures(headers: HeaderBlock, now: int) -> list[Signature | tuple[str, DkimResult]]:
    """The signatures of a mail, the topmost first; of one that cannot be verified its domain and the result. `now` is in seconds since 1970."""
    fields = headers.by_name.get(b"dkim-signature", ())[:MAX_SIGNATURES]
    return [_read(headers, field, now) for field in fields]


def _read(headers: HeaderBlock, field: HeaderField, now: int) -> Signature | tuple[str, DkimResult]:
    tags = _read_tags(headers.value(field).decode("ascii", "replace"))
    domain, selector = tags.get("d", "").lower().rstrip("."), tags.get("s", "").lower()
    identity = tags.get("i", f"@{domain}").rpartition("@")[2].lower().rstrip(".")
    header_form, _, body_form = tags.get("c", "simple/simple").lower().partition("/")
    names = tuple(name.strip().lower().encode("ascii", "replace") for name in tags.get("h", "").split(":"))
    is_sound = (
        tags.get("v") == "1"
        and _NAME.fullmatch(domain) is not None
        and _NAME.fullmatch(selector) is not None
        and (identity == domain or identity.endswith(f".{domain}"))
        and {header_form, body_form or "simple"} <= {"simple", "relaxed"}
        and b"from" in names
        and tags.get("a", "").lower() in _ALGORITHMS
    )
    try:
        expires = int(tags.get("x", "") or now)
        hashed, value = (base64.b64decode("".join(tags.get(tag, "").split()), validate=True) for tag in ("bh", "b"))
    except (ValueError, binascii.Error):
        return domain[:253], DkimResult.PERMERROR
    if not is_sound or not hashed or not value:
        return domain[:253], DkimResult.PERMERROR
    if "l" in tags:
        return domain, DkimResult.NEUTRAL
    if expires < now:
        return domain, DkimResult.FAIL
    return Signature(
        field=field,
        algorithm=tags["a"].lower(),
        domain=domain,
        selector=selector,
        identity=identity,
        names=names,
        is_header_simple=header_form == "simple",
        is_body_simple=body_form != "relaxed",
        hashed_body=hashed,
        value=value,
    )


def verify_signature(headers: HeaderBlock, signature: Signature, record: str) -> DkimResult:
    """Verifies a signature against its key record."""
    key = _read_key(record, signature)
    if key is None:
        return DkimResult.PERMERROR
    content = headers.content
    hashed = _simple_body_hash(content, headers.body_offset) if signature.is_body_simple else body_hash(content, headers.body_offset)
    if hashed != signature.hashed_body:
        return DkimResult.FAIL
    signed = _signed_octets(headers, signature)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature.value, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature.value, hashlib.sha256(signed).digest())  # RFC 8463 §3
    except InvalidSignature:
        return DkimResult.FAIL
    return DkimResult.PASS


def _read_key(record: str, signature: Signature) -> rsa.RSAPublicKey | ed25519.Ed25519PublicKey | None:
    """The key of a record (RFC 6376 §3.6.1); None if it is none for this signature."""
    tags = _read_tags(record)
    kind = tags.get("k", "rsa").lower()
    services = {word.strip() for word in tags.get("s", "*").split(":")}
    flags = {word.strip() for word in tags.get("t", "").split(":")}
    is_fit = (
        tags.get("v", "DKIM1") == "DKIM1"
        and kind == _ALGORITHMS[signature.algorithm]
        and "sha256" in {word.strip().lower() for word in tags.get("h", "sha256").split(":")}
        and bool(services & {"*", "email"})
        and ("s" not in flags or signature.identity == signature.domain)
    )
    if not is_fit:
        return None
    try:
        octets = base64.b64decode("".join(tags.get("p", "").split()), validate=True)
        if kind == "ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(octets)
        key = serialization.load_der_public_key(octets)
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS else None


def _signed_octets(headers: HeaderBlock, signature: Signature) -> bytes:
    """The header fields that are signed, from the bottom up (RFC 6376 §5.4.2), and the signature's own without its value."""
    left = {name: list(headers.by_name.get(name, ())) for name in set(signature.names)}
    pieces: list[bytes] = []
    for name in signature.names:
        if left[name]:
            raw = headers.raw(left[name].pop())
            pieces.append(raw if signature.is_header_simple else relax_field(raw) + b"\r\n")
    own = _SIGNATURE_VALUE.sub(rb"\1", headers.raw(signature.field).rstrip(b"\r\n"), count=1)
    pieces.append(own if signature.is_header_simple else relax_field(own + b"\r\n"))
    return b"".join(pieces)


def _simple_body_hash(content: bytes, offset: int) -> bytes:
    """SHA-256 of the body in simple form (RFC 6376 §3.4.3): empty lines at the end are ignored, and it ends with a line end."""
    end = len(content)
    while content.endswith(b"\r\n", offset, end):
        end -= 2
    digest = hashlib.sha256(memoryview(content)[offset:end])
    digest.update(b"\r\n")
    return digest.digest()


def _read_tags(text: str) -> dict[str, str]:
    matches = (_TAG.match(part) for part in text.split(";"))
    return {match[1].lower(): match[2] for match in matches if match}
