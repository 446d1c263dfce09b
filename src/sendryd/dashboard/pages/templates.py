"""Templates: write them with a preview beside, see versions and what differs, publish, go back."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from sendryd.accounts.templates import MAX_NAME, BadTemplate, TemplateChange
from sendryd.dashboard.app import Page
from sendryd.dashboard.templateview import PartDiff, compare, sample_data
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit, headers
from sendryd.message.starters import STARTERS
from sendryd.message.template import TemplateError
from sendryd.model.actor import Person
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, TemplateId, TemplateVersionId, format_id, parse_id
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.policy.rights import Right
from sendryd.runtime import offload
from sendryd.runtime.fence import FenceUnavailable
from sendryd.store.errors import LimitReached, NotFound
from sendryd.web.headers import foreign_headers

SHOWN: Final = 50  # rows of a page
MAX_VERSIONS: Final = 50  # that are listed; the diff finds older ones by their id
BUSY: Final = "Too many large templates are being worked on: try again in a few seconds."
SAID: Final = {"saved": "Saved. Mail uses this version from now on.", "published": "Published. Mail uses this version from now on."}


@dataclass(frozen=True, slots=True)
class Row:
    """A template in the list."""

    id: str
    name: str
    subject: str
    mode: str
    updated: Moment


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version."""

    id: str
    number: int
    at: Moment
    is_present: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """A rendered template. `frame` is the path of its framed HTML; empty: it has none."""

    subject: str = ""
    frame: str = ""
    text: str = ""
    fault: str = ""


async def show_list(visit: Visit) -> Response:
    """`GET /templates`."""
    return await _show_list(visit, {}, status=200)


async def create(visit: Visit) -> Response:
    """`POST /templates`: of a starter, or empty."""
    name = visit.fields.get("name", "").strip()
    starter = next((each for each in STARTERS if each["id"] == visit.fields.get("starter", "")), None)
    if (wrong := _wrong_name(name)) is not None:
        return await _show_list(visit, {"name": wrong}, status=422)
    subject, html = (starter["subject"], starter["html"]) if starter else (name, "<p>Hello {{ name }}</p>\n")
    try:
        made = await visit.needs.templates.by(visit.author).add(_person(visit), TemplateChange(name=name, subject=subject, html=html))
    except BadTemplate as error:
        return await _show_list(visit, {"name": error.sentence}, status=422)
    except LimitReached as error:
        return await _show_list(visit, {"name": str(error)}, status=409)
    return visit.go(f"/templates/{_id(made)}")


async def show(visit: Visit, template: Template) -> Response:
    """`GET /templates/{id}?from=…&to=…`."""
    return await _show(visit, template, {}, status=200)


async def save(visit: Visit, template: Template) -> Response:
    """`POST /templates/{id}`: a new version, which mail uses at once."""
    fields, name = visit.fields, visit.fields.get("name", "").strip()
    if (wrong := _wrong_name(name)) is not None:
        return await _show(visit, template, {"name": wrong}, status=422)
    html = _given(_lines(fields.get("html", "")), template.content.html)
    change = TemplateChange(
        name=name,
        subject=_given(fields.get("subject", ""), template.content.subject),
        html=html,
        text=_given(_lines(fields.get("text", "")), template.content.text),
        clears_blocks=template.content.blocks is not None and html is not None,
    )
    try:
        await visit.needs.templates.by(visit.author).update(_person(visit), template.id, change)
    except BadTemplate as error:
        return await _show(visit, template, {error.field: str(error)}, status=422)
    except FenceUnavailable:
        return await _show(visit, template, {"html": BUSY}, status=503)
    return visit.go(f"/templates/{_id(template)}?said=saved")


async def publish(visit: Visit, template: Template) -> Response:
    """`POST /templates/{id}/publish`: an earlier version becomes what mail uses."""
    number = parse_id(visit.fields.get("version", ""), TEMPLATE_VERSION_PREFIX)
    if number is None:
        return visit.show("missing.html", "missing", {}, status=404)
    await visit.needs.templates.by(visit.author).publish(_person(visit), template.id, TemplateVersionId(number))
    return visit.go(f"/templates/{_id(template)}?said=published")


async def remove(visit: Visit, template: Template) -> Response:
    """`POST /templates/{id}/remove`."""
    await visit.needs.templates.by(visit.author).remove(_person(visit), template.id)
    return visit.go("/templates")


async def preview(visit: Visit) -> Response:
    """`POST /templates/preview`: of what is being written, as a part of the page."""
    fields = visit.fields
    content = TemplateContent(
        subject=fields.get("subject") or None,
        html=fields.get("html") or None,
        text=fields.get("text") or None,
        engine="html",
        variables=None,
        blocks=None,
    )
    made = await _preview(visit, content, fields.get("data", ""))
    return HTMLResponse(visit.render_part("template_preview.html", {"preview": made}, visit.token()), headers=headers())


async def show_frame(visit: Visit) -> Response:
    """`GET /templates/preview/{name}`: the framed HTML, without cookie, for ten minutes."""
    document = visit.needs.previews.find(visit.request.path_params["name"])
    if document is None:
        return PlainTextResponse("This preview was for ten minutes: load the page again.\n", 410, headers=foreign_headers())
    return HTMLResponse(document, headers=foreign_headers())


def _on_template(work: Callable[[Visit, Template], Awaitable[Response]]) -> Callable[[Visit], Awaitable[Response]]:
    """Work on the template that the path names."""

    async def handle(visit: Visit) -> Response:
        number = parse_id(visit.request.path_params["id"], TEMPLATE_PREFIX)
        try:
            if number is None:
                raise NotFound("no such template")
            return await work(visit, await visit.needs.templates.get(visit.account_id, TemplateId(number)))
        except NotFound:
            return visit.show("missing.html", "missing", {}, status=404)

    return handle


async def _preview(visit: Visit, content: TemplateContent, data: str) -> Preview:
    needs = visit.needs
    try:
        variables = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        return Preview(
            fault=f"The sample data is no JSON: {error}" if isinstance(error, json.JSONDecodeError) else "The sample data is no JSON."
        )
    if not isinstance(variables, dict):
        return Preview(fault='The sample data is a JSON object: {"name": "Ann"}.')
    try:
        made = await needs.templates.render_content(visit.account_id, content, variables)
    except TemplateError as error:
        text = str(error)
        return Preview(fault=f"{text[:1].upper()}{text[1:]}")
    except FenceUnavailable:
        return Preview(fault=BUSY)
    frame = ""
    if made.html:
        document = await needs.framer.frame(made.html, text=made.text, lane=visit.account_id)
        frame = f"/templates/preview/{needs.previews.keep(document)}"
    return Preview(made.subject, frame, made.text or "")


async def _show_list(visit: Visit, wrong: Mapping[str, str], *, status: int) -> Response:
    number = parse_id(visit.query("before"), TEMPLATE_PREFIX)
    before = None if number is None else TemplateId(number)
    found = await visit.needs.templates.page(visit.account_id, limit=SHOWN, before=before)
    rows = [
        Row(
            _id(each),
            each.name,
            each.content.subject or "",
            each.mode.value if each.mode is KeyMode.TEST else "",
            moment_of(each.updated_at),
        )
        for each in found.items
    ]
    values = {
        "rows": rows,
        "older": f"/templates?before={_id(found.items[-1])}" if found.has_more else "",
        "newest": "/templates" if before is not None else "",
        "starters": STARTERS,
        "name": visit.fields.get("name", ""),
        "starter": visit.fields.get("starter", ""),
        "wrong": {"name": "", **wrong},
    }
    return visit.show("templates.html", "templates", values, status=status)


async def _show(visit: Visit, template: Template, wrong: Mapping[str, str], *, status: int) -> Response:
    stored, given = template.content, visit.fields
    content = replace(
        stored, subject=given.get("subject", stored.subject), html=given.get("html", stored.html), text=given.get("text", stored.text)
    )
    data = given.get("data") or json.dumps(sample_data(content), indent=2, ensure_ascii=False)
    versions = await visit.needs.templates.versions(visit.account_id, template.id)
    present = next((each for each in versions if each.content == stored), versions[0] if versions else None)
    values = {
        "id": _id(template),
        "saved_name": template.name,
        "name": given.get("name", template.name),
        "content": content,
        "data": data,
        "is_test": template.mode is KeyMode.TEST,
        "has_design": stored.blocks is not None,
        "versions": [_version(each, present) for each in versions[:MAX_VERSIONS]],
        "preview": await _preview(visit, content, data),
        "diff": await _diff(visit, versions),
        "said": SAID.get(visit.query("said"), "") if status == 200 else "",
        "wrong": {"name": "", "subject": "", "html": "", "text": "", **wrong},
    }
    return visit.show("template.html", "template", values, status=status)


def _version(version: TemplateVersion, present: TemplateVersion | None) -> VersionView:
    is_present = present is not None and version.id == present.id
    return VersionView(format_id(TEMPLATE_VERSION_PREFIX, version.id), version.version, moment_of(version.created_at), is_present)


async def _diff(visit: Visit, versions: list[TemplateVersion]) -> tuple[PartDiff, ...] | None:
    """Between the versions of the address; None if it names none."""
    by_id = {format_id(TEMPLATE_VERSION_PREFIX, each.id): each for each in versions}
    old, new = by_id.get(visit.query("from")), by_id.get(visit.query("to"))
    if old is None or new is None:
        return None
    return await offload.in_thread(compare, old.content, new.content)


def _wrong_name(name: str) -> str | None:
    if name and len(name) <= MAX_NAME and name.isprintable():
        return None
    return f"Enter a name of 1 to {MAX_NAME} characters."


def _given(text: str, stored: str | None) -> str | None:
    """The text of a field; None, which changes nothing, if it is as stored: forms lose spaces and line ends around it."""
    return None if text == _lines(stored or "").strip() else text


def _lines(text: str) -> str:
    """Browsers send the lines of a form with CRLF."""
    return text.replace("\r\n", "\n")


def _id(template: Template) -> str:
    return format_id(TEMPLATE_PREFIX, template.id)


def _person(visit: Visit) -> Person:
    signed_in = visit.me.signed_in
    return Person(visit.account_id, signed_in.person.id, signed_in.membership.role)


PAGES: Final = (
    Page(path="/templates", get=show_list, post=create),
    Page(path="/templates/preview", post=preview, needs_to_change=Right.SEE),
    Page(path="/templates/preview/{name}", get=show_frame, needs=None),
    Page(path="/templates/{id}", get=_on_template(show), post=_on_template(save)),
    Page(path="/templates/{id}/publish", post=_on_template(publish)),
    Page(path="/templates/{id}/remove", post=_on_template(remove)),
)
