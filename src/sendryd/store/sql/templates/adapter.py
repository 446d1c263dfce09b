"""Stored templates."""

from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.store.base import Page
from sendryd.store.codec.templates import content_json, read_template, read_version, template_row
from sendryd.store.codec.values import id_below, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row, fetch_value
from sendryd.store.errors import NotFound
from sendryd.store.rules import check_limit, check_unchanged
from sendryd.store.sql.database import Database
from sendryd.store.sql.templates.queries import SQL


class Templates:
    """`TemplateStore`."""

    _database: Database

    async def add_template(self, template: Template, version_id: TemplateVersionId, *, limit: int | None = None) -> None:
        def action(connection: Connection, _batch: object) -> None:
            row = template_row(template)
            change(connection, SQL["insert_template"], **row)
            count = fetch_value(connection, SQL["count_templates_made"], account_id=template.account_id, mode=template.mode.value)
            check_limit(count, limit, "template", "delete one first")
            _add_version(connection, template.id, version_id, row["content"], row["created_at"])

        await self._database.write(action)

    async def get_template(self, account_id: AccountId, template_id: TemplateId) -> Template | None:
        row = await self._database.find_row(SQL["get_template"], account_id=account_id, id=template_id)
        return read_template(row) if row else None

    async def page_templates(self, account_id: AccountId, *, limit: int, before: TemplateId | None = None) -> Page[Template]:
        values = {"account_id": account_id, "before": id_below(before), "limit": limit + 1}
        rows = await self._database.list_rows(SQL["page_templates"], TEMPLATE_PREFIX, **values)
        return self._database.unreadable.page(rows, read_template, limit)

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
        values = {"id": before.id, "name": name, "content": content_json(content), "updated_at": to_ms(now), "mode": mode.value}

        def action(connection: Connection, _batch: object) -> Template:
            check_unchanged(_get(connection, before.account_id, before.id), before, "the template")
            change(connection, SQL["update_template"], **values)
            if before.content != content:
                _add_version(connection, before.id, version_id, content_json(content), to_ms(now))
            return _get(connection, before.account_id, before.id)

        return await self._database.write(action)

    async def remove_template(self, account_id: AccountId, template_id: TemplateId) -> None:
        if not await self._database.change(SQL["remove_template"], account_id=account_id, id=template_id):
            raise NotFound("no such template")

    async def list_template_versions(self, account_id: AccountId, template_id: TemplateId) -> list[TemplateVersion]:
        unreadable = self._database.unreadable

        def work(connection: Connection) -> list[TemplateVersion]:
            _get(connection, account_id, template_id)
            rows = unreadable.fetch(connection, SQL["list_template_versions"], TEMPLATE_VERSION_PREFIX, {"template_id": template_id})
            return list(unreadable.keep(rows, read_version))

        return await self._database.read(work)

    async def publish_template_version(self, before: Template, version_id: TemplateVersionId, *, mode: KeyMode, now: datetime) -> Template:
        def action(connection: Connection, _batch: object) -> Template:
            check_unchanged(_get(connection, before.account_id, before.id), before, "the template")
            row = fetch_row(connection, SQL["get_template_version"], template_id=before.id, id=version_id)
            if row is None:
                raise NotFound("no such version")
            values = {"name": before.name, "content": row["content"], "updated_at": to_ms(now), "mode": mode.value}
            change(connection, SQL["update_template"], id=before.id, **values)
            return _get(connection, before.account_id, before.id)

        return await self._database.write(action)


def _get(connection: Connection, account_id: AccountId, template_id: TemplateId) -> Template:
    row = fetch_row(connection, SQL["get_template"], account_id=account_id, id=template_id)
    if row is None:
        raise NotFound("no such template")
    return read_template(row)


def _add_version(connection: Connection, template_id: TemplateId, version_id: TemplateVersionId, content: str, moment: int) -> None:
    values = {"id": version_id, "template_id": template_id, "content": content, "created_at": moment}
    change(connection, SQL["insert_template_version"], **values)
