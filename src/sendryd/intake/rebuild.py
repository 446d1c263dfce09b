"""Replaces a message's bodies and subject by a template's; all other header fields stay byte for byte. Pure."""

from typing import Final

from sendryd.message.author import parse_author
from sendryd.message.compose import Attachment, Composition, compose
from sendryd.message.headers import HeaderBlock
from sendryd.message.mailbox import Mailbox
from sendryd.message.parse import decode_body, walk
from sendryd.message.template import Rendered

_REPLACED: Final = (b"subject", b"mime-version")
_DESCRIBING: Final = b"content-"


def _is_replaced(name: bytes) -> bool:
    return name in _REPLACED or name.startswith(_DESCRIBING)


def replace_bodies(content: bytes, headers: HeaderBlock, rendered: Rendered, boundary: str) -> bytes:
    """The message with a template's subject and bodies; its attachments stay. Raises `MalformedMessage`."""
    author = parse_author((headers.get(b"from")) or b"")
    made = compose(
        Composition(
            author=Mailbox(name="", local_part=author.local_part, domain=author.domain),
            to=(),
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            attachments=tuple(_attachments(content, headers)),
        ),
        boundary=boundary,
    )
    new = HeaderBlock.parse(made)
    kept = [headers.raw(field) for field in headers.fields if not _is_replaced(field.name)]
    added = [new.raw(field) for field in new.fields if _is_replaced(field.name)]
    return b"".join([*kept, *added, b"\r\n", made[new.body_offset :]])


def _attachments(content: bytes, headers: HeaderBlock) -> list[Attachment]:
    """The leaf parts that are not body texts, with their names and types."""
    found = []
    seen: set[str] = set()
    for part in walk(content, headers):
        if part.is_multipart:
            continue
        if part.is_body_text and part.content_type not in seen:
            seen.add(part.content_type)
            continue
        found.append(
            Attachment(
                filename=part.filename or "attachment",
                content=decode_body(content, part),
                content_type=part.content_type,
                content_id=part.content_id or None,
            )
        )
    return found
