"""Reads small posted forms, urlencoded or multipart, and checks that one of our pages posted them (CSRF)."""

from collections.abc import Mapping
from email.message import Message
from email.parser import BytesParser
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

MAX_FORM: Final = 4096  # octets: the forms have under 300
MAX_FIELDS: Final = 10


class FormTooLarge(Exception):
    """The form is larger than its limit."""


async def read_form(request: Request, *, max_size: int = MAX_FORM, max_fields: int = MAX_FIELDS) -> Mapping[str, str]:
    """The fields of a posted form, names in lower case; empty for another media type. Raises `FormTooLarge`, `ClientDisconnect`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_size:
            raise FormTooLarge
    return parse_form(request.headers.get("content-type", ""), bytes(body), max_fields=max_fields)


def parse_form(content_type: str, body: bytes, *, max_fields: int = MAX_FIELDS) -> Mapping[str, str]:
    """The fields of a form; empty if it cannot be parsed. Never raises."""
    if content_type.lower().startswith("multipart/form-data"):
        return _parse_multipart(content_type, body, max_fields)
    try:
        pairs = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=max_fields)
    except ValueError:
        return {}
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _parse_multipart(content_type: str, body: bytes, max_fields: int) -> Mapping[str, str]:
    """Reads multipart/form-data (RFC 7578), which is MIME, with the standard library's mail parser."""
    head = f"Content-Type: {content_type.splitlines()[0]}\r\n\r\n".encode("latin-1", "replace")
    form = BytesParser().parsebytes(head + body)
    parts = form.get_payload()
    fields: dict[str, str] = {}
    if not isinstance(parts, list) or len(parts) > max_fields:
        return fields
    for part in parts:
        name = part.get_param("name", header="content-disposition") if isinstance(part, Message) else None
        value = part.get_payload(decode=True) if isinstance(part, Message) else None
        if isinstance(name, str) and isinstance(value, bytes):
            fields[name.strip().lower()] = value.decode("utf-8", "replace").strip()
    return fields


def is_from_our_page(headers: Mapping[str, str], public_origin: str) -> bool:
    """Whether one of our pages made this request, by the browser's fields. Required for every change authorised by a cookie (CSRF).

    `headers` are looked up in lower case; `public_origin` is scheme, host and port as browsers write them. `Sec-Fetch-Site` decides;
    browsers that do not send it send `Origin` with a form. A request with neither does not come from a browser.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin") == public_origin
