"""Stored templates in SQLite."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Final

import apsw

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.store.base import Page
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, to_json, to_ms
from sendryd.store.errors import Changed, NotFound
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.limits import check_limit
from sendryd.store.sqlite.templates.queries import SQL

_LAST: Final = 1 << 62


class Templates:
    """`TemplateStore`."""

    _database: Database

    async def add_template(self, template: Template, version_id: TemplateVersionId, *, limit: int | None = None) -> None:
        content, created = _content_json(template.content), to_ms(template.created_at)

        def action(connection: apsw.Connection, _batch: object) -> None:
            values = (template.id, template.account_id, template.name, content, created, to_ms(template.updated_at), template.mode.value)
            connection.execute(SQL["insert_template"], values)
            count = connection.execute(SQL["count_templates_made"], (template.account_id, template.mode.value)).get
            check_limit(count, limit, "template", "delete one first")
            connection.execute(SQL["insert_template_version"], (version_id, template.id, content, created))

        await self._database.write(action)

    async def get_template(self, account_id: AccountId, template_id: TemplateId) -> Template | None:
        row = self._database.fetch_one(SQL["get_template"], account_id, template_id)
        return _read_template(row) if row else None

    async def page_templates(self, account_id: AccountId, *, limit: int, before: TemplateId | None = None) -> Page[Template]:
        values = (account_id, _LAST if before is None else before, limit + 1)
        rows = await self._database.read_rows(SQL["page_templates"], TEMPLATE_PREFIX, *values)
        return Page(items=self._database.unreadable.keep(rows[:limit], _read_template), has_more=len(rows) > limit)

    async def update_template(
        self,
        before: Template,
        *,
        name: str,
        content: TemplateContent,
        mode: KeyMode,
        version_id: TemplateVersionId,
        now: datetime,
    ) -> Template:
        text = _content_json(content)

        def action(connection: apsw.Connection, _batch: object) -> Template:
            _check_unchanged(connection, before)
            connection.execute(SQL["update_template"], (before.id, name, text, to_ms(now), mode.value))
            if before.content != content:
                connection.execute(SQL["insert_template_version"], (version_id, before.id, text, to_ms(now)))
            return _get(connection, before.account_id, before.id)

        template: Template = await self._database.write(action)
        return template

    async def remove_template(self, account_id: AccountId, template_id: TemplateId) -> None:
        def action(connection: apsw.Connection, _batch: object) -> None:
            connection.execute(SQL["remove_template"], (account_id, template_id))
            if not connection.changes():
                raise NotFound("no such template")

        await self._database.write(action)

    async def list_template_versions(self, account_id: AccountId, template_id: TemplateId) -> list[TemplateVersion]:
        unreadable = self._database.unreadable

        def work(connection: apsw.Connection) -> list[TemplateVersion]:
            _get(connection, account_id, template_id)
            rows = unreadable.fetch(connection.execute(SQL["list_template_versions"], (template_id,)), TEMPLATE_VERSION_PREFIX)
            return list(unreadable.keep(rows, _read_version))

        return await self._database.read(work)

    async def publish_template_version(self, before: Template, version_id: TemplateVersionId, *, mode: KeyMode, now: datetime) -> Template:
        def action(connection: apsw.Connection, _batch: object) -> Template:
            _check_unchanged(connection, before)
            row = connection.execute(SQL["get_template_version"], (before.id, version_id)).fetchone()
            if row is None:
                raise NotFound("no such version")
            connection.execute(SQL["update_template"], (before.id, before.name, row[3], to_ms(now), mode.value))
            return _get(connection, before.account_id, before.id)

        template: Template = await self._database.write(action)
        return template


def _get(connection: apsw.Connection, account_id: AccountId, template_id: TemplateId) -> Template:
    row = connection.execute(SQL["get_template"], (account_id, template_id)).fetchone()
    if row is None:
        raise NotFound("no such template")
    return _read_template(row)


def _check_unchanged(connection: apsw.Connection, before: Template) -> None:
    if _get(connection, before.account_id, before.id) != before:
        raise Changed("the template has been changed by somebody else at the same time: try again")


def _content_json(content: TemplateContent) -> str:
    return to_json(asdict(content))


@row_of(TEMPLATE_PREFIX)
def _read_template(row: Row) -> Template:
    return Template(
        id=TemplateId(row[0]),
        account_id=AccountId(row[1]),
        name=row[2],
        content=TemplateContent(**json.loads(row[3])),
        created_at=from_ms(row[4]),
        updated_at=from_ms(row[5]),
        mode=KeyMode(row[6]),
    )


@row_of(TEMPLATE_VERSION_PREFIX)
def _read_version(row: Row) -> TemplateVersion:
    return TemplateVersion(
        id=TemplateVersionId(row[0]),
        template_id=TemplateId(row[1]),
        version=row[2],
        content=TemplateContent(**json.loads(row[3])),
        created_at=from_ms(row[4]),
    )
