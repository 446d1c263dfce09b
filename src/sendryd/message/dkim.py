"""DKIM signatures (RFC 6376, RFC 8301): rsa-sha256, relaxed/relaxed, with displayed fields oversigned.

Signing a field once more than it occurs ("oversigning") makes the signature fail if another one is added: no second From or Subject can be
prepended to a signed message. Fields that mailing lists and forwarders add are signed only as often as they occur, so that their mail still
verifies. There is no `l=` (it leaves the end of the body open) and no `x=` (a delivery may be deferred for days). Canonicalisation uses `replace`
on slices of at most 1 MiB, so that no single call blocks other threads for long.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock

KEY_BITS: Final = 2048  # RFC 8301 §3.2 asks signers for at least this
SLICE: Final = 1024 * 1024  # octets canonicalised by one call
LINE: Final = 72  # octets of a folded line of the signature

# Fields that readers display, or that decide how the body is read: a second one must break the signature.
OVERSIGNED_FIELDS: Final = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"reply-to",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"content-disposition",
    b"content-id",
    b"content-description",
)
# RFC 6376 §5.4.1, with those fields that clients act on (RFC 8058 wants both List-Unsubscribe fields signed). Lists and forwarders add them.
SIGNED_IF_PRESENT: Final = (
    b"message-id",
    b"in-reply-to",
    b"references",
    b"sender",
    b"list-id",
    b"list-help",
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"feedback-id",
    b"auto-submitted",
)
SIGNED_FIELDS: Final = OVERSIGNED_FIELDS + SIGNED_IF_PRESENT
_SPACES: Final = re.compile(rb"[ \t\r\n]+")
_TAG: Final = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9_]*)\s*=\s*([^;]*?)\s*\Z", re.DOTALL)


def generate_key() -> tuple[bytes, str]:
    """A new key pair: the private key as PEM (PKCS #8), the public key in base64 as `p=` has it. Takes a tenth of a second or more."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, base64.b64encode(public).decode("ascii")


def load_private_key(pem: bytes) -> rsa.RSAPrivateKey:
    """Loads a private key that `generate_key` made. Raises `ValueError` if it is not an RSA key, or is damaged."""
    # Checking its primes again would take a hundred times as long as a signature, for each key at each change of the configuration.
    try:
        key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    # If any number of the key was altered, its signatures do not verify.
    try:
        key.public_key().verify(key.sign(b"", padding.PKCS1v15(), hashes.SHA256()), b"", padding.PKCS1v15(), hashes.SHA256())
    except Exception as error:  # the library raises many kinds of errors for invalid numbers
        raise ValueError("what it signs does not verify") from error
    return key


def body_hash(content: bytes, body_offset: int) -> bytes:
    """SHA-256 of the body in relaxed form (RFC 6376 §3.4.4)."""
    digest = hashlib.sha256()
    held = b""  # line ends that count only if something follows them: empty lines at the end are ignored
    is_empty = True
    for piece in _slices(content, body_offset, len(content)):
        relaxed = _relax_body(piece)
        text = relaxed.rstrip(b"\r\n")
        if text:
            digest.update(held)
            digest.update(text)
            held = relaxed[len(text) :]
            is_empty = False
        else:
            held += relaxed
    if not is_empty:
        digest.update(b"\r\n")
    return digest.digest()


def _slices(content: bytes, start: int, end: int) -> Iterator[bytes]:
    """Slices that end after a line end where possible."""
    while end - start > SLICE:
        cut = content.rfind(b"\n", start, start + SLICE) + 1
        if cut <= 0:
            cut = content.find(b"\n", start, end) + 1 or end
        yield content[start:cut]
        start = cut
    yield content[start:end]


def _relax_body(piece: bytes) -> bytes:
    if b"\t" in piece:
        piece = piece.replace(b"\t", b" ")
    while b"  " in piece:
        piece = piece.replace(b"  ", b" ")
    if b" \r\n" in piece:
        piece = piece.replace(b" \r\n", b"\r\n")
    return piece[:-1] if piece.endswith(b" ") else piece


def relax_field(raw: bytes) -> bytes:
    """A header field in relaxed form, without its final CRLF (RFC 6376 §3.4.2)."""
    name, _, value = raw.partition(b":")
    if b"\r\n" in value[:-2] or b"  " in value or b"\t" in value:
        value = _SPACES.sub(b" ", value)
    return name.strip().lower() + b":" + value.strip()


def sign(
    content: bytes,
    *,
    headers: HeaderBlock,
    domain: str,
    selector: str,
    key: rsa.RSAPrivateKey,
    now: int,
    hashed_body: bytes | None = None,
) -> bytes:
    """The whole DKIM-Signature field, folded, to prepend to the content. `now` is in seconds since 1970.

    `hashed_body` avoids hashing the body again.
    """
    names: list[bytes] = []
    signed: list[bytes] = []
    for name in SIGNED_FIELDS:
        occurrences = [headers.raw(field) for field in headers.by_name.get(name, ())]
        signed += [relax_field(raw) for raw in reversed(occurrences)]  # RFC 6376 §5.4.2: from the bottom up
        names += [name] * (len(occurrences) + (name in OVERSIGNED_FIELDS))
    hashed = base64.b64encode(hashed_body if hashed_body is not None else body_hash(content, headers.body_offset))
    start = (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain};\r\n"
        f"\ts={selector}; t={now}; bh={hashed.decode('ascii')};\r\n\th="
    ).encode("ascii")
    field_bytes = start + _fold_names(names) + b";\r\n\tb="
    signed.append(relax_field(field_bytes))
    signature = base64.b64encode(key.sign(b"\r\n".join(signed), padding.PKCS1v15(), hashes.SHA256()))
    lines = [signature[position : position + LINE] for position in range(0, len(signature), LINE)]
    return field_bytes + b"\r\n\t".join(lines) + b"\r\n"


def _fold_names(names: list[bytes]) -> bytes:
    lines: list[bytes] = []
    line = b""
    for name in names:
        if line and len(line) + 1 + len(name) > LINE:
            lines.append(line + b":")
            line = name
        else:
            line = line + b":" + name if line else name
    lines.append(line)
    return b"\r\n\t".join(lines)


def verify(content: bytes, lookup: Callable[[str], str | None]) -> str | None:
    """Verifies the first DKIM signature against the record that `lookup` returns for a name. None if it verifies, else the reason.

    Supports only signatures of the form that `sign` writes: it serves the demonstration and tests, and must not judge mail from elsewhere.
    """
    try:
        headers = HeaderBlock.parse(content)
    except MalformedMessage as error:
        return error.reason
    field = next((each for each in headers.fields if each.name == b"dkim-signature"), None)
    if field is None:
        return "there is no DKIM-Signature field"
    raw = headers.raw(field)
    tags = _read_tags(headers.value(field).decode("ascii", "replace"))
    if tags.get("a") != "rsa-sha256" or tags.get("c") != "relaxed/relaxed":
        return "the signature is of a kind that is not checked here"
    if _unspace(tags.get("bh", "")) != base64.b64encode(body_hash(content, headers.body_offset)).decode("ascii"):
        return "the body has been changed"
    record = lookup(f"{tags.get('s', '')}._domainkey.{tags.get('d', '')}")
    if record is None:
        return "no key is published"
    return _verify_signature(headers, raw, tags, _read_tags(record))


def _verify_signature(headers: HeaderBlock, raw: bytes, tags: dict[str, str], record: dict[str, str]) -> str | None:
    remaining = {name: [headers.raw(each) for each in headers.fields if each.name == name] for name in SIGNED_FIELDS}
    signed = []
    for name in _unspace(tags.get("h", "")).lower().encode().split(b":"):
        occurrences = remaining.get(name)
        if occurrences:
            signed.append(relax_field(occurrences.pop()))
    unsigned = re.sub(rb"([;\s]b=)[^;]*", rb"\1", raw.rstrip(b"\r\n"))
    signed.append(relax_field(unsigned + b"\r\n"))
    try:
        key = serialization.load_der_public_key(base64.b64decode(_unspace(record.get("p", ""))))
        if not isinstance(key, rsa.RSAPublicKey):
            return "the published key is not an RSA key"
        key.verify(base64.b64decode(_unspace(tags.get("b", ""))), b"\r\n".join(signed), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, UnsupportedAlgorithm):
        return "a signed header field has been changed, or the published key is another one"
    except (binascii.Error, ValueError):
        return "the signature or the published key cannot be read"
    return None


def _read_tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376 §3.2)."""
    matches = (_TAG.match(part) for part in text.split(";"))
    return {match[1]: match[2] for match in matches if match}


def _unspace(text: str) -> str:
    return "".join(text.split())
