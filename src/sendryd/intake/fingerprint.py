"""What tells one message by SMTP from another under the same idempotency key. Pure.

Its octets do not: a client that makes the message anew for a second try gives it another boundary, date and Message-ID, and may encode it
otherwise. What was asked for does: from whom, to whom, about what, saying what, and in which way.
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
    """32 octets. The message as it was handed in, with its control fields."""
    content = submission.content
    headers = HeaderBlock.parse(content)
    orders = [
        (field.name, headers.value(field)) for field in headers.fields if field.name.startswith(CONTROL_PREFIX) and field.name != _KEY
    ]
    shown = [decode_text(value) for name in (b"from", b"subject") for value in headers.all(name)]
    paths = sorted(recipient.forward_path for recipient in submission.recipients)
    told = hashlib.sha256(repr(("smtp", submission.actor.mode.value, shown, paths, orders)).encode("utf-8", "surrogatepass"))
    for part in walk(content, headers):
        if not part.is_multipart:
            body = decode_body(content, part).rstrip()
            told.update(f"\0{part.content_type} {part.filename} {len(body)}\0".encode("utf-8", "surrogatepass"))
            told.update(body)
    return told.digest()
