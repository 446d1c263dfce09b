"""Templates, what to begin them with, and how they look rendered."""

import math
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from sendryd.accounts.templates import EMPTY, MAX_SUBJECT, MAX_TEXT, BadTemplate, TemplateChange, TemplateOffice
from sendryd.api.framework.answers import Deleted, Json, Page, Whole
from sendryd.api.framework.bodies import Body, Line, Name, PageQuery
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, not_found, parse_cursor
from sendryd.api.shapes import Rendered, Starter, TemplateVersion, VisualStarter, WholeVisualStarter
from sendryd.api.shapes import Template as TemplateShape
from sendryd.api.wire import page, template_json, template_version_json
from sendryd.message.blocks import MAX_WIDTH, MIN_WIDTH, TYPES, BlockError
from sendryd.message.starters import STARTERS, VISUAL_STARTERS
from sendryd.message.template import MAX_SOURCE, TemplateError
from sendryd.model.apikey import Scope
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, TemplateId, TemplateVersionId, parse_id
from sendryd.model.template import Template, TemplateContent
from sendryd.store.errors import NotFound

GROUP: Final = "Templates"
MAX_BODY: Final = 24 * 1024 * 1024  # octets: the longest HTML and text with many letters of several octets or escaped, and a design
MAX_VARIABLES: Final = 500  # in a schema; nobody fills in a tenth of that

Engine = Literal["html", "react", "visual"]
Html = Annotated[str, Field(max_length=MAX_SOURCE)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Subject = Annotated[Line, Field(max_length=MAX_SUBJECT)]


def _finite(value: Any) -> Any:
    """JSON whose numbers can be written as JSON again: 1e400 is read as infinite. Raises `ValueError`."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, float) and not math.isfinite(each):
            raise ValueError("it has a number that is too large")
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return value


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


_DESIGN: Final[Json] = {  # what `message.blocks` asks of every design; each block has rules of its own
    "properties": {
        "globalStyles": _or_null(
            {
                "type": "object",
                "properties": {
                    "bodyBackgroundColor": _or_null({"type": "string"}),
                    "contentBackgroundColor": _or_null({"type": "string"}),
                    "contentWidth": _or_null({"type": "number", "minimum": MIN_WIDTH, "maximum": MAX_WIDTH}),
                    "fontFamily": _or_null({"type": "string"}),
                    "linkColor": _or_null({"type": "string"}),
                },
            }
        ),
        "blocks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": {}, "type": {"type": "string", "enum": sorted(TYPES)}, "props": _or_null({"type": "object"})},
                "required": ["type"],
            },
        },
    },
    "required": ["blocks"],
}
Variables = Annotated[dict[str, Any], AfterValidator(_finite), Field(description="Values by name: any JSON.")]
Design = Annotated[
    dict[str, Any],
    AfterValidator(_finite),
    Field(description="`globalStyles` and `blocks`, as visual starters have them.", json_schema_extra=_DESIGN),
]
_EXAMPLE: Final = {"globalStyles": {}, "blocks": [{"id": "b1", "type": "text", "props": {"text": "Hello {{name}}"}}]}


class VariableRule(Body):
    """What is known of one variable."""

    type: Annotated[str, Field(max_length=50)]
    required: bool | None = None
    default: Annotated[Any, AfterValidator(_finite)] = None


Schema = Annotated[dict[Annotated[str, Field(max_length=200)], VariableRule], Field(max_length=MAX_VARIABLES)]


class TemplateUpdate(Body):
    """What changes of a template. `blocks: null` takes the design away."""

    name: Name | None = None
    subject: Subject | None = None
    html: Html | None = None
    text: Text | None = None
    engine: Engine | None = None
    variables: Schema | None = None
    blocks: Design | None = None

    @property
    def change(self) -> TemplateChange:
        """The same, as the office takes it."""
        rules = self.variables
        return TemplateChange(
            name=self.name,
            subject=self.subject,
            html=self.html,
            text=self.text,
            engine=self.engine,
            variables=None if rules is None else {name: rule.model_dump(exclude_none=True) for name, rule in rules.items()},
            blocks=self.blocks,
            clears_blocks="blocks" in self.model_fields_set and self.blocks is None,
        )


class NewTemplate(TemplateUpdate):
    """A template."""

    name: Name


class RenderBody(Body):
    """The values for a stored template."""

    variables: Variables | None = None


class AdHocRender(RenderBody):
    """A template that is not stored."""

    html: Html
    subject: Subject | None = None
    text: Text | None = None
    engine: Engine | None = None


class CompileBody(RenderBody):
    """A design. Without variables, their places stay open."""

    design: Design


class TemplateHandlers:
    """Everything about templates."""

    def __init__(self, templates: TemplateOffice) -> None:
        self._templates = templates

    def operations(self) -> list[Operation]:
        """The declarations."""
        path = "/v1/templates"
        one = f"{path}/{{id}}"
        update = Operation(
            method="PUT",
            path=one,
            group=GROUP,
            summary="Change a template; a content that differs becomes its next version",
            handler=self.update,
            scope=Scope.FULL_ACCESS,
            max_body=MAX_BODY,
            answers=TemplateShape,
            example={"html": "<p>Good day, {{name}}</p>"},
        )
        return [
            Operation(
                method="POST",
                path=path,
                group=GROUP,
                summary="Create a template",
                handler=self.add,
                scope=Scope.FULL_ACCESS,
                max_body=MAX_BODY,
                answers=TemplateShape,
                example={
                    "name": "Welcome",
                    "subject": "Welcome, {{name}}",
                    "html": "<p>Hello {{name}}</p>",
                    "variables": {"name": {"type": "string", "required": True}},
                },
            ),
            Operation(
                method="GET",
                path=path,
                group=GROUP,
                summary="List templates, newest first",
                handler=self.list,
                answers=Page[TemplateShape],
            ),
            Operation(method="GET", path=one, group=GROUP, summary="Get a template", handler=self.get, answers=TemplateShape),
            update,
            update.alias(method="PATCH"),
            Operation(
                method="DELETE",
                path=one,
                group=GROUP,
                summary="Delete a template and its versions",
                handler=self.remove,
                scope=Scope.FULL_ACCESS,
                answers=Deleted,
            ),
            *self._version_operations(one),
            *self._render_operations(path),
            *self._starter_operations(path),
        ]

    def _version_operations(self, one: str) -> list[Operation]:
        return [
            Operation(
                method="GET",
                path=f"{one}/versions",
                group=GROUP,
                summary="List the versions of a template, newest first",
                handler=self.list_versions,
                answers=Whole[TemplateVersion],
            ),
            Operation(
                method="POST",
                path=f"{one}/publish/{{versionId}}",
                group=GROUP,
                summary="Make a version the content of its template",
                handler=self.publish,
                scope=Scope.FULL_ACCESS,
                answers=TemplateShape,
            ),
            Operation(
                method="POST",
                path=f"{one}/duplicate",
                group=GROUP,
                summary="Copy a template",
                handler=self.duplicate,
                scope=Scope.FULL_ACCESS,
                answers=TemplateShape,
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
                answers=Rendered,
                example={"variables": {"name": "Ann"}},
            ),
            Operation(
                method="POST",
                path=f"{path}/render",
                group=GROUP,
                summary="Render HTML with variables without storing it",
                handler=self.render_ad_hoc,
                max_body=MAX_BODY,
                answers=Rendered,
                example={"html": "<p>Hello {{name}}</p>", "variables": {"name": "Ann"}},
            ),
            Operation(
                method="POST",
                path=f"{path}/compile-blocks",
                group=GROUP,
                summary="Compile a design of blocks into HTML for mail",
                handler=self.compile,
                answers=Rendered,
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
                answers=Whole[Starter],
            ),
            Operation(
                method="GET",
                path=f"{path}/visual-starters",
                group=GROUP,
                summary="List designs to begin with",
                handler=self.list_visual_starters,
                answers=Whole[VisualStarter],
            ),
            Operation(
                method="GET",
                path=f"{path}/visual-starters/{{starterId}}",
                group=GROUP,
                summary="Get a design to begin with",
                handler=self.get_visual_starter,
                answers=WholeVisualStarter,
            ),
        ]

    async def add(self, call: Call[NewTemplate, None]) -> Json:
        """`POST /v1/templates`."""
        try:
            return template_json(await self._templates.add(call.key.account_id, call.body.change, by=call.key.mode))
        except BadTemplate as error:
            raise invalid(error.field, f"{error.field}: {error}") from None

    async def list(self, call: Call[None, PageQuery]) -> Json:
        """`GET /v1/templates`."""
        before = parse_cursor(call.query.cursor, TEMPLATE_PREFIX)
        found = await self._templates.page(
            call.key.account_id, limit=call.query.limit, before=None if before is None else TemplateId(before)
        )
        return page([template_json(each) for each in found.items], has_more=found.has_more)

    async def get(self, call: Call[None, None]) -> Json:
        """`GET /v1/templates/:id`."""
        return template_json(await self._find(call))

    async def update(self, call: Call[TemplateUpdate, None]) -> Json:
        """`PUT /v1/templates/:id`."""
        try:
            return template_json(await self._templates.update(call.key.account_id, _read_id(call), call.body.change, by=call.key.mode))
        except BadTemplate as error:
            raise invalid(error.field, f"{error.field}: {error}") from None
        except NotFound:
            raise not_found("Template") from None

    async def remove(self, call: Call[None, None]) -> Json:
        """`DELETE /v1/templates/:id`."""
        try:
            await self._templates.remove(call.key.account_id, _read_id(call), by=call.key.mode)
        except NotFound:
            raise not_found("Template") from None
        return {"deleted": True}

    async def list_versions(self, call: Call[None, None]) -> Json:
        """`GET /v1/templates/:id/versions`."""
        try:
            versions = await self._templates.versions(call.key.account_id, _read_id(call))
        except NotFound:
            raise not_found("Template") from None
        return {"data": [template_version_json(each) for each in versions]}

    async def publish(self, call: Call[None, None]) -> Json:
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

    async def duplicate(self, call: Call[None, None]) -> Json:
        """`POST /v1/templates/:id/duplicate`."""
        try:
            return template_json(await self._templates.duplicate(call.key.account_id, _read_id(call), by=call.key.mode))
        except NotFound:
            raise not_found("Template") from None

    async def render(self, call: Call[RenderBody, None]) -> Json:
        """`POST /v1/templates/:id/render`."""
        template = await self._find(call)
        return await self._render(call, template.content, call.body.variables, "variables")

    async def render_ad_hoc(self, call: Call[AdHocRender, None]) -> Json:
        """`POST /v1/templates/render`."""
        body: AdHocRender = call.body
        content = replace(EMPTY, subject=body.subject, html=body.html, text=body.text)
        return await self._render(call, content, body.variables, "html")

    async def compile(self, call: Call[CompileBody, None]) -> Json:
        """`POST /v1/templates/compile-blocks`."""
        body: CompileBody = call.body
        account_id = call.key.account_id
        try:
            html = await self._templates.compile(account_id, body.design)
            if body.variables is None:
                return {"html": html, "text": await self._templates.text_of_design(account_id, html)}
        except (BlockError, TemplateError) as error:
            raise invalid("design", f"design: {error}") from None
        made = await self._render(call, replace(EMPTY, html=html), body.variables, "design")
        return {"html": made["html"], "text": made["text"]}

    async def list_starters(self, _call: Call[None, None]) -> Json:
        """`GET /v1/templates/starters`."""
        return {"data": [dict(each) for each in STARTERS]}

    async def list_visual_starters(self, _call: Call[None, None]) -> Json:
        """`GET /v1/templates/visual-starters`."""
        return {"data": [{name: value for name, value in each.items() if name != "design"} for each in VISUAL_STARTERS]}

    async def get_visual_starter(self, call: Call[None, None]) -> Json:
        """`GET /v1/templates/visual-starters/:id`."""
        for each in VISUAL_STARTERS:
            if each["id"] == call.params["starterId"]:
                return dict(each)
        raise not_found("Visual starter")

    async def _render(self, call: Call[Any, Any], content: TemplateContent, variables: dict[str, Any] | None, field: str) -> Json:
        try:
            made = await self._templates.render_content(call.key.account_id, content, variables or {})
        except TemplateError as error:
            raise invalid(field, f"{field}: {error}") from None
        return {"html": made.html or "", "text": made.text or "", "subject": made.subject}

    async def _find(self, call: Call[Any, Any]) -> Template:
        try:
            return await self._templates.get(call.key.account_id, _read_id(call))
        except NotFound:
            raise not_found("Template") from None


def _read_id(call: Call[Any, Any]) -> TemplateId:
    number = parse_id(call.params["id"], TEMPLATE_PREFIX)
    if number is None:
        raise not_found("Template")
    return TemplateId(number)
