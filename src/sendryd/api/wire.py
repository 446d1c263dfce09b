"""The only JSON shapes of the API: model values in, plain data out."""

from collections.abc import Sequence

from sendryd.api.framework.answers import Json
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import (
    TEMPLATE_PREFIX,
    TEMPLATE_VERSION_PREFIX,
    format_id,
)
from sendryd.model.moment import timestamp
from sendryd.model.template import Template, TemplateVersion


def page(items: Sequence[Json], *, has_more: bool, total: int | None = None, has_total: bool = False) -> Json:
    """A list. The cursor is the last row's id."""
    body: Json = {"data": list(items), "has_more": has_more, "next_cursor": items[-1]["id"] if has_more else None}
    if has_total:
        body["total"] = total
    return body


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
