"""The only JSON shapes of the API: model values in, plain data out."""

from collections.abc import Iterable, Sequence

from sendryd.api.framework.answers import Json
from sendryd.message.parse import Summary
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import (
    TEMPLATE_PREFIX,
    TEMPLATE_VERSION_PREFIX,
    TEST_MESSAGE_PREFIX,
    format_id,
)
from sendryd.model.message import Message
from sendryd.model.moment import timestamp
from sendryd.model.template import Template, TemplateVersion


def page(items: Sequence[Json], *, has_more: bool, total: int | None = None, has_total: bool = False) -> Json:
    """A list. The cursor is the last row's id."""
    body: Json = {"data": list(items), "has_more": has_more, "next_cursor": items[-1]["id"] if has_more else None}
    if has_total:
        body["total"] = total
    return body


def smtp_info(hostname: str, port: int) -> Json:
    """`GET /v1/smtp/info`, as the public documentation shows it."""
    return {
        "host": hostname,
        "port": port,
        "tls": False,
        "auth": {"username": "(any value)", "password": "use any API key with sending_access scope"},
    }


def test_email_json(message: Message) -> Json:
    """A captured message in the Test Inbox's list."""
    return {
        "id": format_id(TEST_MESSAGE_PREFIX, message.id),
        "from": message.author,
        "to": list(message.to),
        "subject": message.subject,
        "message_type": message.type.value,
        "created_at": timestamp(message.created_at),
    }


def whole_test_email_json(message: Message, content: Summary) -> Json:
    """A captured message with its bodies."""
    return {
        **test_email_json(message),
        "cc": list(message.cc) or None,
        "html": content.html,
        "text": content.text,
        "headers": _headers_json(content.headers),
        "attachments": [{"filename": each.filename, "content_type": each.content_type, "size": each.size} for each in content.attachments],
    }


def _headers_json(fields: Iterable[tuple[str, str]]) -> Json:
    """Header fields by their names; the values of a name that occurs again are lines of one text, in their order."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(names.setdefault(name.lower(), name), []).append(value)
    return {name: "\n".join(each) for name, each in values.items()}


def template_json(template: Template) -> Json:
    """A template."""
    content = template.content
    body: Json = {
        "id": format_id(TEMPLATE_PREFIX, template.id),
        "name": template.name,
        "subject": content.subject,
        "html": content.html,
        "text": content.text,
        "engine": content.engine,
        "variables": None if content.variables is None else dict(content.variables),
        "blocks": None if content.blocks is None else dict(content.blocks),
        "created_at": timestamp(template.created_at),
        "updated_at": timestamp(template.updated_at),
    }
    return {**body, "mode": KeyMode.TEST.value} if template.mode is KeyMode.TEST else body


def template_version_json(version: TemplateVersion) -> Json:
    """A version in its template's list."""
    return {
        "id": format_id(TEMPLATE_VERSION_PREFIX, version.id),
        "version": version.version,
        "subject": version.content.subject,
        "created_at": timestamp(version.created_at),
    }
