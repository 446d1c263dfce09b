"""Reads the small forms that unsubscribe: the page's button, and what mailbox providers post (RFC 8058 §3.1: urlencoded or multipart)."""

from collections.abc import Mapping
from email.message import Message
from email.parser import BytesParser
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from sendryd.tracking.pages import CONFIRM_FIELD

MAX_FORM: Final = 4096  # octets: the forms have under 300
MAX_FIELDS: Final = 10


class FormTooLarge(Exception):
    """More than `MAX_FORM` octets were sent."""


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a posted form, names in lower case; none for what is not a form. Raises `FormTooLarge`, `ClientDisconnect`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise FormTooLarge
    return parse_form(request.headers.get("content-type", ""), bytes(body))


def parse_form(content_type: str, body: bytes) -> Mapping[str, str]:
    """The fields of a form. Never raises: what cannot be read has no fields."""
    if content_type.lower().startswith("multipart/form-data"):
        return _parse_multipart(content_type, body)
    try:
        pairs = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _parse_multipart(content_type: str, body: bytes) -> Mapping[str, str]:
    """RFC 7578 is MIME, so the parser for mail reads it."""
    head = f"Content-Type: {content_type.splitlines()[0]}\r\n\r\n".encode("latin-1", "replace")
    form = BytesParser().parsebytes(head + body)
    parts = form.get_payload()
    fields: dict[str, str] = {}
    for part in parts if isinstance(parts, list) else []:
        name = part.get_param("name", header="content-disposition") if isinstance(part, Message) else None
        value = part.get_payload(decode=True) if isinstance(part, Message) else None
        if isinstance(name, str) and isinstance(value, bytes):
            fields[name.strip().lower()] = value.decode("utf-8", "replace").strip()
    return fields


def is_one_click(form: Mapping[str, str]) -> bool:
    """Whether a mailbox provider unsubscribes for its user."""
    return form.get("list-unsubscribe", "").lower() == "one-click"


def is_confirmed(form: Mapping[str, str]) -> bool:
    """Whether somebody pressed the button."""
    return CONFIRM_FIELD in form
