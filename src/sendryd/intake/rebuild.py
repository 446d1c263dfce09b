"""Replaces a message's bodies and subject by a template's; all other header fields stay byte for byte. Pure."""

from typing import Final

from sendryd.message.author import parse_author
from sendryd.message.compose import Composition, KeptPart, compose
from sendryd.message.headers import HeaderBlock
from sendryd.message.mailbox import Mailbox
from sendryd.message.parse import walk
from sendryd.message.template import Rendered

_REPLACED: Final = (b"subject", b"mime-version")
_DESCRIBING: Final = b"content-"
_LISTED: Final = b'Content-Disposition: attachment; filename="attachment"\r\n'


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


def _attachments(content: bytes, headers: HeaderBlock) -> list[KeptPart]:
    """The leaf parts that are not body texts, as they are."""
    found = []
    seen: set[str] = set()
    for part in walk(content, headers):
        if part.is_multipart:
            continue
        if part.is_body_text and part.content_type not in seen:
            seen.add(part.content_type)
            continue
        header = content[part.header_start : part.body_start] if part.depth else _describing(headers)
        if part.is_body_text:  # a second one, which readers would show beside the template's
            header = _LISTED + _without(header, b"content-disposition")
        found.append(KeptPart(content=header + content[part.body_start : part.body_end], content_id=part.content_id or None))
    return found


def _without(header: bytes, name: bytes) -> bytes:
    """The header of a part, and the empty line, without the fields of this name. Raises `MalformedMessage`."""
    block = HeaderBlock.parse_part(header[:-2] if header.endswith(b"\r\n\r\n") else header.lstrip(b"\r\n"))
    return b"".join([block.raw(field) for field in block.fields if field.name != name]) + b"\r\n"


def _describing(headers: HeaderBlock) -> bytes:
    """The Content-* fields of a message, as the header of a part."""
    return b"".join([headers.raw(field) for field in headers.fields if field.name.startswith(_DESCRIBING)]) + b"\r\n"
