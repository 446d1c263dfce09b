"""The fingerprint that tells SMTP messages under one idempotency key apart. Pure.

It cannot cover the octets: a client that builds the message again for a second try changes boundary, date and Message-ID, and may encode it
differently. It covers author, recipients, subject, decoded parts and control headers.
"""

import hashlib
from typing import Final

from sendryd.intake.prepare import CONTROL_PREFIX
from sendryd.intake.submission import Submission
from sendryd.message.author import decode_text
from sendryd.message.headers import HeaderBlock
from sendryd.message.parse import decode_body, walk

_KEY: Final = b"x-sendry-idempotency-key"


def fingerprint(submission: Submission) -> bytes:
    """SHA-256, 32 octets, of the submitted message with its control fields."""
    content = submission.content
    headers = HeaderBlock.parse(content)
    orders = [
        (field.name, headers.value(field)) for field in headers.fields if field.name.startswith(CONTROL_PREFIX) and field.name != _KEY
    ]
    shown = [decode_text(value) for name in (b"from", b"subject") for value in headers.all(name)]
    paths = sorted(recipient.forward_path for recipient in submission.recipients)
    digest = hashlib.sha256(repr(("smtp", submission.actor.mode.value, shown, paths, orders)).encode("utf-8", "surrogatepass"))
    for part in walk(content, headers):
        if not part.is_multipart:
            body = decode_body(content, part).rstrip()
            digest.update(f"\0{part.content_type} {part.filename} {len(body)}\0".encode("utf-8", "surrogatepass"))
            digest.update(body)
    return digest.digest()
