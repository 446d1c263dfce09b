"""Templates, what to begin them with, and what rendering makes of them, as requests and answers have them. Pure."""

import math
from typing import Annotated, Final, Literal, NotRequired, Self

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import TypedDict

from sendryd.accounts.templates import MAX_SUBJECT, MAX_TEXT, TemplateChange
from sendryd.api.framework.answers import Json
from sendryd.api.framework.bodies import Body, Line, Name
from sendryd.message import template as message
from sendryd.message.blocks import MAX_WIDTH, MIN_WIDTH, TYPES
from sendryd.message.starters import StarterDesign, StarterTemplate
from sendryd.message.template import MAX_SOURCE
from sendryd.message.templatevalues import is_of_type
from sendryd.model import template as model
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, format_id
from sendryd.model.moment import timestamp

MAX_VARIABLES: Final = 500  # in a schema; real templates have a tenth of that

Engine = Literal["html", "react", "visual"]
Html = Annotated[str, Field(max_length=MAX_SOURCE)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Subject = Annotated[Line, Field(max_length=MAX_SUBJECT)]


def _finite(value: object) -> object:
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
Variables = Annotated[dict[str, object], AfterValidator(_finite), Field(description="Values by variable name: any JSON.")]
Design = Annotated[
    dict[str, object],
    AfterValidator(_finite),
    Field(description="`globalStyles` and `blocks`, in the form of the visual starters.", json_schema_extra=_DESIGN),
]


class VariableRule(Body):
    """The type of one variable, and whether it is required."""

    type: Annotated[str, Field(max_length=50)]
    required: bool | None = None
    default: Annotated[object, AfterValidator(_finite)] = None

    @model_validator(mode="after")
    def _check_default(self) -> Self:
        if self.default is not None and not is_of_type(self.default, self.type):
            raise ValueError(f"the default is of another type: give a {self.type}")
        return self


Schema = Annotated[dict[Annotated[str, Field(max_length=200)], VariableRule], Field(max_length=MAX_VARIABLES)]


class TemplateUpdate(Body):
    """The fields of a template to change. `blocks: null` removes the design."""

    name: Name | None = None
    subject: Subject | None = None
    html: Html | None = None
    text: Text | None = None
    engine: Engine | None = None
    variables: Schema | None = None
    blocks: Design | None = None

    @property
    def change(self) -> TemplateChange:
        """The change in the form of `accounts.templates`."""
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
    """Variables for a stored template."""

    variables: Variables | None = None


class AdHocRender(RenderBody):
    """A template that is not stored."""

    html: Html
    subject: Subject | None = None
    text: Text | None = None
    engine: Engine | None = None


class CompileBody(RenderBody):
    """A design to compile. Without `variables`, placeholders stay in the result."""

    design: Design


class Template(TypedDict):
    """A stored template."""

    id: str
    name: str
    subject: str | None
    html: str | None
    text: str | None
    engine: str
    variables: dict[str, object] | None
    blocks: dict[str, object] | None
    mode: NotRequired[Literal["test"]]  # of one that a test key made: live mail cannot use it
    created_at: str
    updated_at: str


class TemplateVersion(TypedDict):
    """A version of a template."""

    id: str
    version: int
    subject: str | None
    created_at: str


class Rendered(TypedDict):
    """A rendered template."""

    html: str
    text: str
    subject: NotRequired[str | None]


class Starter(TypedDict):
    """A starter template."""

    id: str
    name: str
    description: str
    subject: str
    html: str
    variables: list[str]
    engine: Literal["react"]


class VisualStarter(TypedDict):
    """A starter design without its blocks."""

    id: str
    name: str
    description: str
    category: str


class WholeVisualStarter(VisualStarter):
    """A starter design with its blocks."""

    design: dict[str, object]


def template_json(template: model.Template) -> Template:
    """A template."""
    content = template.content
    body: Template = {
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
    return {**body, "mode": "test"} if template.mode is KeyMode.TEST else body


def template_version_json(version: model.TemplateVersion) -> TemplateVersion:
    """A version in its template's list."""
    return {
        "id": format_id(TEMPLATE_VERSION_PREFIX, version.id),
        "version": version.version,
        "subject": version.content.subject,
        "created_at": timestamp(version.created_at),
    }


def rendered_json(made: message.Rendered) -> Rendered:
    """A template with its variables in place."""
    return {"html": made.html or "", "text": made.text or "", "subject": made.subject}


def starter_json(starter: StarterTemplate) -> Starter:
    """A template to begin with, of those in `message.starters`."""
    return {
        "id": starter["id"],
        "name": starter["name"],
        "description": starter["description"],
        "subject": starter["subject"],
        "html": starter["html"],
        "variables": list(starter["variables"]),
        "engine": "react",
    }


def visual_starter_json(starter: StarterDesign) -> VisualStarter:
    """A design to begin with, of those in `message.starters`."""
    return {"id": starter["id"], "name": starter["name"], "description": starter["description"], "category": starter["category"]}


def whole_visual_starter_json(starter: StarterDesign) -> WholeVisualStarter:
    """The same with the design."""
    return {**visual_starter_json(starter), "design": dict(starter["design"])}
