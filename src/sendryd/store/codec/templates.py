"""Templates, their versions, and rows of `template` and `template_version`."""

import json
from dataclasses import asdict
from typing import Any

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, to_json, to_ms


def content_json(content: TemplateContent) -> str:
    """A content as stored."""
    return to_json(asdict(content))


def template_row(template: Template) -> dict[str, Any]:
    """The columns of a template."""
    return {
        "id": template.id,
        "account_id": template.account_id,
        "name": template.name,
        "content": content_json(template.content),
        "created_at": to_ms(template.created_at),
        "updated_at": to_ms(template.updated_at),
        "mode": template.mode.value,
    }


@row_of(TEMPLATE_PREFIX)
def read_template(row: Row) -> Template:
    """A template. Raises `RowUnreadable`."""
    return Template(
        id=TemplateId(row["id"]),
        account_id=AccountId(row["account_id"]),
        name=row["name"],
        content=TemplateContent(**json.loads(row["content"])),
        created_at=from_ms(row["created_at"]),
        updated_at=from_ms(row["updated_at"]),
        mode=KeyMode(row["mode"]),
    )


@row_of(TEMPLATE_VERSION_PREFIX)
def read_version(row: Row) -> TemplateVersion:
    """A version of a template. Raises `RowUnreadable`."""
    return TemplateVersion(
        id=TemplateVersionId(row["id"]),
        template_id=TemplateId(row["template_id"]),
        version=row["version"],
        content=TemplateContent(**json.loads(row["content"])),
        created_at=from_ms(row["created_at"]),
    )
