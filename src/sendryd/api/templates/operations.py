"""Templates, what to begin them with, and how they look rendered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sendryd.accounts.templates import EMPTY, BadTemplate, TemplateOffice
from sendryd.api.framework.answers import Deleted, Page, Whole, page
from sendryd.api.framework.bodies import PageQuery
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, not_found, parse_cursor
from sendryd.api.templates.schema import (
    AdHocRender,
    CompileBody,
    NewTemplate,
    RenderBody,
    Rendered,
    Starter,
    Template,
    TemplateUpdate,
    TemplateVersion,
    VisualStarter,
    WholeVisualStarter,
    rendered_json,
    starter_json,
    template_json,
    template_version_json,
    visual_starter_json,
    whole_visual_starter_json,
)
from sendryd.message import template as message
from sendryd.message.blocks import BlockError
from sendryd.message.starters import STARTERS, VISUAL_STARTERS
from sendryd.message.template import TemplateError
from sendryd.model import template as model
from sendryd.model.apikey import Scope
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, TemplateId, TemplateVersionId, parse_id
from sendryd.store.errors import NotFound

GROUP: Final = "Templates"
MAX_BODY: Final = 24 * 1024 * 1024  # octets: the longest HTML and text with many letters of several octets or escaped, and a design
_EXAMPLE: Final = {"globalStyles": {}, "blocks": [{"id": "b1", "type": "text", "props": {"text": "Hello {{name}}"}}]}


class TemplateHandlers:
    """Everything about templates."""

    def __init__(self, templates: TemplateOffice) -> None:
        self._templates = templates

    def operations(self) -> list[Operation]:
        """The declarations."""
        path = "/v1/templates"
        one = f"{path}/{{id}}"
        return [
            *self._list_operations(path),
            *self._template_operations(one),
            *self._version_operations(one),
            *self._render_operations(path),
            *self._starter_operations(path),
        ]

    def _list_operations(self, path: str) -> list[Operation]:
        return [
            Operation(
                method="POST",
                path=path,
                group=GROUP,
                summary="Create a template",
                handler=self.add,
                scope=Scope.FULL_ACCESS,
                max_body=MAX_BODY,
                example={
                    "name": "Welcome",
                    "subject": "Welcome, {{name}}",
                    "html": "<p>Hello {{name}}</p>",
                    "variables": {"name": {"type": "string", "required": True}},
                },
            ),
            Operation(method="GET", path=path, group=GROUP, summary="List templates, newest first", handler=self.list),
        ]

    def _template_operations(self, one: str) -> list[Operation]:
        update = Operation(
            method="PUT",
            path=one,
            group=GROUP,
            summary="Change a template; a content that differs becomes its next version",
            handler=self.update,
            scope=Scope.FULL_ACCESS,
            max_body=MAX_BODY,
            example={"html": "<p>Good day, {{name}}</p>"},
        )
        return [
            Operation(method="GET", path=one, group=GROUP, summary="Get a template", handler=self.get),
            update,
            update.alias(method="PATCH"),
            Operation(
                method="DELETE",
                path=one,
                group=GROUP,
                summary="Delete a template and its versions",
                handler=self.remove,
                scope=Scope.FULL_ACCESS,
            ),
        ]

    def _version_operations(self, one: str) -> list[Operation]:
        return [
            Operation(
                method="GET",
                path=f"{one}/versions",
                group=GROUP,
                summary="List the versions of a template, newest first",
                handler=self.list_versions,
            ),
            Operation(
                method="POST",
                path=f"{one}/publish/{{versionId}}",
                group=GROUP,
                summary="Make a version the content of its template",
                handler=self.publish,
                scope=Scope.FULL_ACCESS,
            ),
            Operation(
                method="POST",
                path=f"{one}/duplicate",
                group=GROUP,
                summary="Copy a template",
                handler=self.duplicate,
                scope=Scope.FULL_ACCESS,
            ),
        ]

    def _render_operations(self, path: str) -> list[Operation]:
        return [
            Operation(
                method="POST",
                path=f"{path}/{{id}}/render",
                group=GROUP,
                summary="Render a template with variables",
                handler=self.render,
                example={"variables": {"name": "Ann"}},
            ),
            Operation(
                method="POST",
                path=f"{path}/render",
                group=GROUP,
                summary="Render HTML with variables without storing it",
                handler=self.render_ad_hoc,
                max_body=MAX_BODY,
                example={"html": "<p>Hello {{name}}</p>", "variables": {"name": "Ann"}},
            ),
            Operation(
                method="POST",
                path=f"{path}/compile-blocks",
                group=GROUP,
                summary="Compile a design of blocks into HTML for mail",
                handler=self.compile,
                example={"design": _EXAMPLE, "variables": {"name": "Ann"}},
            ),
        ]

    def _starter_operations(self, path: str) -> list[Operation]:
        return [
            Operation(
                method="GET",
                path=f"{path}/starters",
                group=GROUP,
                summary="List templates to begin with",
                handler=self.list_starters,
            ),
            Operation(
                method="GET",
                path=f"{path}/visual-starters",
                group=GROUP,
                summary="List designs to begin with",
                handler=self.list_visual_starters,
            ),
            Operation(
                method="GET",
                path=f"{path}/visual-starters/{{starterId}}",
                group=GROUP,
                summary="Get a design to begin with",
                handler=self.get_visual_starter,
            ),
        ]

    async def add(self, call: Call[NewTemplate, None]) -> Template:
        """`POST /v1/templates`."""
        try:
            return template_json(await self._templates.add(call.key.account_id, call.body.change, by=call.key.mode))
        except BadTemplate as error:
            raise invalid(error.field, f"{error.field}: {error}") from None

    async def list(self, call: Call[None, PageQuery]) -> Page[Template]:
        """`GET /v1/templates`."""
        before = parse_cursor(call.query.cursor, TEMPLATE_PREFIX)
        found = await self._templates.page(
            call.key.account_id, limit=call.query.limit, before=None if before is None else TemplateId(before)
        )
        return page([template_json(each) for each in found.items], has_more=found.has_more)

    async def get(self, call: Call[None, None]) -> Template:
        """`GET /v1/templates/:id`."""
        return template_json(await self._find(call))

    async def update(self, call: Call[TemplateUpdate, None]) -> Template:
        """`PUT /v1/templates/:id`."""
        try:
            return template_json(await self._templates.update(call.key.account_id, _read_id(call), call.body.change, by=call.key.mode))
        except BadTemplate as error:
            raise invalid(error.field, f"{error.field}: {error}") from None
        except NotFound:
            raise not_found("Template") from None

    async def remove(self, call: Call[None, None]) -> Deleted:
        """`DELETE /v1/templates/:id`."""
        try:
            await self._templates.remove(call.key.account_id, _read_id(call), by=call.key.mode)
        except NotFound:
            raise not_found("Template") from None
        return {"deleted": True}

    async def list_versions(self, call: Call[None, None]) -> Whole[TemplateVersion]:
        """`GET /v1/templates/:id/versions`."""
        try:
            versions = await self._templates.versions(call.key.account_id, _read_id(call))
        except NotFound:
            raise not_found("Template") from None
        return {"data": [template_version_json(each) for each in versions]}

    async def publish(self, call: Call[None, None]) -> Template:
        """`POST /v1/templates/:id/publish/:versionId`."""
        template = await self._find(call)
        number = parse_id(call.params["versionId"], TEMPLATE_VERSION_PREFIX)
        if number is None:
            raise not_found("Template version")
        try:
            return template_json(
                await self._templates.publish(template.account_id, template.id, TemplateVersionId(number), by=call.key.mode)
            )
        except NotFound:
            raise not_found("Template version") from None

    async def duplicate(self, call: Call[None, None]) -> Template:
        """`POST /v1/templates/:id/duplicate`."""
        try:
            return template_json(await self._templates.duplicate(call.key.account_id, _read_id(call), by=call.key.mode))
        except NotFound:
            raise not_found("Template") from None

    async def render(self, call: Call[RenderBody, None]) -> Rendered:
        """`POST /v1/templates/:id/render`."""
        template = await self._find(call)
        return rendered_json(await self._render(call, template.content, call.body.variables, "variables"))

    async def render_ad_hoc(self, call: Call[AdHocRender, None]) -> Rendered:
        """`POST /v1/templates/render`."""
        body = call.body
        content = replace(EMPTY, subject=body.subject, html=body.html, text=body.text)
        return rendered_json(await self._render(call, content, body.variables, "html"))

    async def compile(self, call: Call[CompileBody, None]) -> Rendered:
        """`POST /v1/templates/compile-blocks`."""
        body = call.body
        account_id = call.key.account_id
        try:
            html = await self._templates.compile(account_id, body.design)
            if body.variables is None:
                return {"html": html, "text": await self._templates.text_of_design(account_id, html)}
        except (BlockError, TemplateError) as error:
            raise invalid("design", f"design: {error}") from None
        made = await self._render(call, replace(EMPTY, html=html), body.variables, "design")
        return {"html": made.html or "", "text": made.text or ""}

    async def list_starters(self, _call: Call[None, None]) -> Whole[Starter]:
        """`GET /v1/templates/starters`."""
        return {"data": [starter_json(each) for each in STARTERS]}

    async def list_visual_starters(self, _call: Call[None, None]) -> Whole[VisualStarter]:
        """`GET /v1/templates/visual-starters`."""
        return {"data": [visual_starter_json(each) for each in VISUAL_STARTERS]}

    async def get_visual_starter(self, call: Call[None, None]) -> WholeVisualStarter:
        """`GET /v1/templates/visual-starters/:id`."""
        for each in VISUAL_STARTERS:
            if each["id"] == call.params["starterId"]:
                return whole_visual_starter_json(each)
        raise not_found("Visual starter")

    async def _render(
        self, call: Call[object, object], content: model.TemplateContent, variables: Mapping[str, Any] | None, field: str
    ) -> message.Rendered:
        try:
            return await self._templates.render_content(call.key.account_id, content, variables or {})
        except TemplateError as error:
            raise invalid(field, f"{field}: {error}") from None

    async def _find(self, call: Call[object, object]) -> model.Template:
        try:
            return await self._templates.get(call.key.account_id, _read_id(call))
        except NotFound:
            raise not_found("Template") from None


def _read_id(call: Call[object, object]) -> TemplateId:
    number = parse_id(call.params["id"], TEMPLATE_PREFIX)
    if number is None:
        raise not_found("Template")
    return TemplateId(number)
