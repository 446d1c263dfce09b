"""Templates, what to begin them with, and how they look rendered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sendryd.accounts.templates import EMPTY, Templates
from sendryd.api.framework.answers import Deleted, Page, Whole, page
from sendryd.api.framework.bodies import PageQuery
from sendryd.api.framework.group import Group, PathParameter, public_id
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
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, TemplateId, TemplateVersionId
from sendryd.store.errors import NotFound

GROUP: Final = Group(
    "Templates",
    "Stored subjects, HTML and text with variables.",
    {
        "templates": public_id("a template", TEMPLATE_PREFIX, "Template"),
        "publish": public_id("a version", TEMPLATE_VERSION_PREFIX, "Template version"),
        "visual-starters": PathParameter("The id of a starter design.", "newsletter", "Visual starter"),
    },
)
MAX_BODY: Final = 24 * 1024 * 1024  # octets: the longest HTML and text with many letters of several octets or escaped, and a design
_EXAMPLE: Final = {"globalStyles": {}, "blocks": [{"id": "b1", "type": "text", "props": {"text": "Hello {{name}}"}}]}


class TemplateHandlers:
    """The operations on templates."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def operations(self) -> list[Operation]:
        """The declarations."""
        update = Operation(GROUP, "PUT /v1/templates/{id}", self.update, max_body=MAX_BODY, example={"html": "<p>Good day, {{name}}</p>"})
        return [
            Operation(
                GROUP,
                "POST /v1/templates",
                self.add,
                max_body=MAX_BODY,
                example={
                    "name": "Welcome",
                    "subject": "Welcome, {{name}}",
                    "html": "<p>Hello {{name}}</p>",
                    "variables": {"name": {"type": "string", "required": True}},
                },
            ),
            Operation(GROUP, "GET /v1/templates", self.list),
            Operation(GROUP, "GET /v1/templates/{id}", self.get),
            update,
            update.alias("PATCH /v1/templates/{id}"),
            Operation(GROUP, "DELETE /v1/templates/{id}", self.remove),
            Operation(GROUP, "GET /v1/templates/{id}/versions", self.list_versions),
            Operation(GROUP, "POST /v1/templates/{id}/publish/{versionId}", self.publish),
            Operation(GROUP, "POST /v1/templates/{id}/duplicate", self.duplicate),
            Operation(GROUP, "POST /v1/templates/{id}/render", self.render, scope=Scope.READ_ONLY, example={"variables": {"name": "Ann"}}),
            Operation(
                GROUP,
                "POST /v1/templates/render",
                self.render_ad_hoc,
                scope=Scope.READ_ONLY,
                max_body=MAX_BODY,
                example={"html": "<p>Hello {{name}}</p>", "variables": {"name": "Ann"}},
            ),
            Operation(
                GROUP,
                "POST /v1/templates/compile-blocks",
                self.compile,
                scope=Scope.READ_ONLY,
                example={"design": _EXAMPLE, "variables": {"name": "Ann"}},
            ),
            Operation(GROUP, "GET /v1/templates/starters", self.list_starters),
            Operation(GROUP, "GET /v1/templates/visual-starters", self.list_visual_starters),
            Operation(GROUP, "GET /v1/templates/visual-starters/{starterId}", self.get_visual_starter),
        ]

    async def add(self, call: Call[NewTemplate, None]) -> Template:
        """Create a template.

        A design in `blocks` is compiled into HTML unless `html` is given too. Live mail cannot use a template that a test key made.
        """
        return template_json(await self._templates.by(call.author).add(call.key, call.body.change))

    async def list(self, call: Call[None, PageQuery]) -> Page[Template]:
        """List templates, newest first.

        The list has live and test templates.
        """
        before = parse_cursor(call.query.cursor, TemplateId, TEMPLATE_PREFIX)
        found = await self._templates.page(call.key.account_id, limit=call.query.limit, before=before)
        return page([template_json(each) for each in found.items], has_more=found.has_more)

    async def get(self, call: Call[None, None]) -> Template:
        """Get a template.

        The answer has its published content.
        """
        return template_json(await self._find(call))

    async def update(self, call: Call[TemplateUpdate, None]) -> Template:
        """Change a template.

        A changed content becomes the next version, and is published. A field that is left out keeps its value.
        """
        return template_json(
            await self._templates.by(call.author).update(call.key, TemplateId(call.read_id(TEMPLATE_PREFIX)), call.body.change)
        )

    async def remove(self, call: Call[None, None]) -> Deleted:
        """Delete a template and its versions.

        Mail that was sent with it stays.
        """
        await self._templates.by(call.author).remove(call.key, TemplateId(call.read_id(TEMPLATE_PREFIX)))
        return {"deleted": True}

    async def list_versions(self, call: Call[None, None]) -> Whole[TemplateVersion]:
        """List the versions of a template, newest first.

        Each change of the content made one.
        """
        versions = await self._templates.versions(call.key.account_id, TemplateId(call.read_id(TEMPLATE_PREFIX)))
        return {"data": [template_version_json(each) for each in versions]}

    async def publish(self, call: Call[None, None]) -> Template:
        """Publish a version of a template.

        Mail that is sent from now on uses this version.
        """
        template = await self._find(call)
        version_id = TemplateVersionId(call.read_id(TEMPLATE_VERSION_PREFIX, name="versionId"))
        return template_json(await self._templates.by(call.author).publish(call.key, template.id, version_id))

    async def duplicate(self, call: Call[None, None]) -> Template:
        """Copy a template.

        The copy begins with one version, the published content.
        """
        return template_json(await self._templates.by(call.author).duplicate(call.key, TemplateId(call.read_id(TEMPLATE_PREFIX))))

    async def render(self, call: Call[RenderBody, None]) -> Rendered:
        """Render a template with variables.

        The answer is what mail sent with these variables would contain.
        """
        template = await self._find(call)
        return rendered_json(await self._render(call, template.content, call.body.variables, "variables"))

    async def render_ad_hoc(self, call: Call[AdHocRender, None]) -> Rendered:
        """Render a subject, HTML and text with variables.

        The server stores nothing.
        """
        body = call.body
        content = replace(EMPTY, subject=body.subject, html=body.html, text=body.text)
        return rendered_json(await self._render(call, content, body.variables, "html"))

    async def compile(self, call: Call[CompileBody, None]) -> Rendered:
        """Compile a design of blocks into HTML and text.

        With `variables`, the answer is rendered too. The server stores nothing.
        """
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
        """List starter templates.

        Copy one into a new template to begin with it.
        """
        return {"data": [starter_json(each) for each in STARTERS]}

    async def list_visual_starters(self, _call: Call[None, None]) -> Whole[VisualStarter]:
        """List starter designs.

        The list leaves out the blocks; get one design to see them.
        """
        return {"data": [visual_starter_json(each) for each in VISUAL_STARTERS]}

    async def get_visual_starter(self, call: Call[None, None]) -> WholeVisualStarter:
        """Get a starter design.

        The answer has its blocks.
        """
        for each in VISUAL_STARTERS:
            if each["id"] == call.params["starterId"]:
                return whole_visual_starter_json(each)
        raise not_found("Visual starter")

    async def _render(
        self, call: Call[object, object], content: model.TemplateContent, variables: Mapping[str, object] | None, field: str
    ) -> message.Rendered:
        try:
            return await self._templates.render_content(call.key.account_id, content, variables or {})
        except TemplateError as error:
            raise invalid(field, f"{field}: {error}") from None

    async def _find(self, call: Call[object, object]) -> model.Template:
        try:
            return await self._templates.get(call.key.account_id, TemplateId(call.read_id(TEMPLATE_PREFIX)))
        except NotFound:  # where the path also names a version
            raise not_found("Template") from None
