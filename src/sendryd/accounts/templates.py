"""Operations on stored templates, shared by the REST API and the door. Only templates that parse are stored."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Protocol

from sendryd.accounts.audit import AuditedChanges
from sendryd.accounts.changes import reapply
from sendryd.accounts.errors import BadField
from sendryd.message.blocks import BlockError, compile_blocks
from sendryd.message.fenced import find_fault, render_template, text_of_design
from sendryd.message.plaintext import is_small
from sendryd.message.template import MAX_SOURCE, Rendered, TemplateError, render_small
from sendryd.message.templatevalues import are_small
from sendryd.model.actor import Actor
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import TEMPLATE_PREFIX, TEMPLATE_VERSION_PREFIX, AccountId, TemplateId, TemplateVersionId, format_id
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.policy.permissions import NotForLiveMail, check_change
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import Fence, Fences, FenceUnavailable, TooCostly
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import AuditStore, Page, TemplateStore
from sendryd.store.errors import NotFound

MAX_NAME: Final = 200  # characters: the contract
MAX_SUBJECT: Final = 998  # characters: a line of a header
MAX_TEXT: Final = 1_048_576  # characters: the contract's limit for a text
COPY_SUFFIX: Final = " (copy)"
INLINE_SIZE: Final = 16_384  # characters of sources that are checked in the event loop, in some milliseconds
INLINE_TAGS: Final = 500  # opening brackets in them, likewise
# Seconds for the template of a large message, which holds memory that other large messages wait for: less than half of their patience
# (`budget.WORK_TIMEOUT`), and more than a job of `fence.MAX_CPU` takes.
LARGE_TIMEOUT: Final = 8.0


class BadTemplate(BadField):
    """The template cannot be stored; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateChange:
    """The fields of a template to change; None: the field stays."""

    name: str | None = None
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    engine: str | None = None
    variables: Mapping[str, object] | None = None
    blocks: Mapping[str, object] | None = None
    clears_blocks: bool = False  # the design is taken away; the HTML stays


EMPTY: Final = TemplateContent(subject=None, html=None, text=None, engine="html", variables=None, blocks=None)


class AuditedTemplateStore(TemplateStore, AuditStore, Protocol):
    """Templates, and the audit of their changes."""


class Templates(AuditedChanges[AuditedTemplateStore]):
    """Stores, publishes and renders templates."""

    def __init__(
        self, store: AuditedTemplateStore, *, clock: Clock, ids: IdSource, fences: Fences | None = None, max_templates: int | None = None
    ) -> None:
        super().__init__(store, clock, ids)
        self.fences = fences or Fences(clock)
        self._max_templates = max_templates

    async def get(self, account_id: AccountId, template_id: TemplateId) -> Template:
        """Get one template. Raises `NotFound`."""
        template = await self._store.get_template(account_id, template_id)
        if template is None:
            raise NotFound("no such template")
        return template

    async def page(self, account_id: AccountId, *, limit: int, before: TemplateId | None) -> Page[Template]:
        """List templates, newest first."""
        return await self._store.page_templates(account_id, limit=limit, before=before)

    async def add(self, actor: Actor, change: TemplateChange) -> Template:
        """Add a template. A template that a test key adds is for test mail only. Raises `BadTemplate`, `LimitReached`."""
        now = self._clock.now()
        template = Template(
            id=TemplateId(self._ids.next()),
            account_id=actor.account_id,
            name=change.name or "",
            content=await self._changed(actor.account_id, EMPTY, change),
            created_at=now,
            updated_at=now,
            mode=actor.mode,
        )
        await self._audited("template.created", _target(template.id), after={"name": template.name}).add_template(
            template, self._version_id(), limit=self._max_templates
        )
        return template

    async def update(self, actor: Actor, template_id: TemplateId, change: TemplateChange) -> Template:
        """Change a template; a new content becomes its next version. Live mail can use a template that a live key saved. Raises `NotFound`,
        `BadTemplate`, `LiveKeyNeeded`.
        """

        async def attempt() -> Template:
            old = await self._find(actor, template_id)
            name, content = change.name or old.name, await self._changed(actor.account_id, old.content, change)
            return await self._audited("template.changed", _target(old.id), after=_differing(old, name, content)).update_template(
                old, name=name, content=content, mode=actor.mode, version_id=self._version_id(), now=self._clock.now()
            )

        return await reapply(attempt)

    async def _find(self, actor: Actor, template_id: TemplateId) -> Template:
        """A template that this actor may change. Raises `NotFound`, `LiveKeyNeeded`."""
        template = await self.get(actor.account_id, template_id)
        check_change(actor, template.mode)
        return template

    async def duplicate(self, actor: Actor, template_id: TemplateId) -> Template:
        """Copy a template under another name. Raises `NotFound`, `LimitReached`."""
        old, now = await self.get(actor.account_id, template_id), self._clock.now()
        name = old.name[: MAX_NAME - len(COPY_SUFFIX)] + COPY_SUFFIX
        copy = replace(old, id=TemplateId(self._ids.next()), name=name, created_at=now, updated_at=now, mode=actor.mode)
        await self._audited("template.created", _target(copy.id), after={"name": name, "copy_of": _target(old.id)}).add_template(
            copy, self._version_id(), limit=self._max_templates
        )
        return copy

    async def remove(self, actor: Actor, template_id: TemplateId) -> None:
        """Remove a template. Raises `NotFound`, `LiveKeyNeeded`."""
        old = await self._find(actor, template_id)
        await self._audited("template.removed", _target(template_id), before={"name": old.name}).remove_template(
            actor.account_id, template_id
        )

    async def versions(self, account_id: AccountId, template_id: TemplateId) -> list[TemplateVersion]:
        """List all versions, newest first. Raises `NotFound`."""
        return await self._store.list_template_versions(account_id, template_id)

    async def publish(self, actor: Actor, template_id: TemplateId, version_id: TemplateVersionId) -> Template:
        """Make a version the content of its template. Live mail can use a template that a live key published. Raises `NotFound`,
        `LiveKeyNeeded`.
        """

        async def attempt() -> Template:
            old = await self._find(actor, template_id)
            version = {"version": format_id(TEMPLATE_VERSION_PREFIX, version_id)}
            return await self._audited("template.published", _target(old.id), after=version).publish_template_version(
                old, version_id, mode=actor.mode, now=self._clock.now()
            )

        return await reapply(attempt)

    async def render(
        self,
        actor: Actor,
        template_id: TemplateId,
        variables: Mapping[str, object],
        *,
        is_large: bool = False,
        large_timeout: float = LARGE_TIMEOUT,
    ) -> Rendered:
        """Render a template for mail of this actor; `is_large` for mail with large attachments. Raises `NotFound`, `TemplateError`,
        `FenceUnavailable`, and `NotForLiveMail` if live mail would use a template that a test key made.
        """
        template = await self.get(actor.account_id, template_id)
        is_test = actor.mode is KeyMode.TEST
        if not is_test and template.mode is KeyMode.TEST:
            raise NotForLiveMail("it was made with a test key: save it with a live key before live mail uses it")
        try:
            async with asyncio.timeout(large_timeout if is_large else None):
                return await self.render_content(actor.account_id, template.content, variables, is_preview=is_test)
        except TimeoutError:
            raise FenceUnavailable("the template of a large message was not rendered in time") from None

    async def render_content(
        self, account_id: AccountId, content: TemplateContent, variables: Mapping[str, object], *, is_preview: bool = True
    ) -> Rendered:
        """Render a content that need not be stored. Raises `TemplateError`, `FenceUnavailable`."""
        made = render_small(subject=content.subject, html=content.html, text=content.text, schema=content.variables, variables=variables)
        if made is not None:
            return made
        fence = self.fences.previews if is_preview else self.fences.mail
        arguments = (content.subject, content.html, content.text, content.variables, variables)
        return Rendered(**await _run(fence, account_id, render_template, *arguments))

    async def compile(self, account_id: AccountId, design: Mapping[str, object]) -> str:
        """Compile a design into HTML. Raises `BlockError`, `FenceUnavailable`."""
        if are_small(design):
            return compile_blocks(design)
        try:
            html: str = await self.fences.previews.run(compile_blocks, design, lane=account_id, refusal=BlockError)
        except TooCostly as error:
            raise BlockError(str(error)) from None
        return html

    async def text_of_design(self, account_id: AccountId, html: str) -> str:
        """Make the text of a compiled design; placeholders stay. Raises `TemplateError`, `FenceUnavailable`."""
        if is_small(html):
            return text_of_design(html)
        text: str = await _run(self.fences.previews, account_id, text_of_design, html)
        return text

    async def _changed(self, account_id: AccountId, old: TemplateContent, change: TemplateChange) -> TemplateContent:
        """The content with its changes. A design without HTML is compiled. Raises `BadTemplate`, `FenceUnavailable`."""
        compiled = None
        if change.blocks is not None:
            try:
                compiled = await self.compile(account_id, change.blocks)
            except BlockError as error:
                raise BadTemplate("blocks", str(error)) from None
        content = changed(old, change, compiled)
        sources = sources_of(content)
        if sum(map(len, sources.values())) <= INLINE_SIZE and sum(source.count("{") for source in sources.values()) <= INLINE_TAGS:
            fault = find_fault(sources)
        else:
            try:
                fault = await self.fences.previews.run(find_fault, sources, lane=account_id)
            except TooCostly as error:
                fault = ("html", str(error))
        if fault is not None:
            raise BadTemplate(*fault)
        return content

    def _version_id(self) -> TemplateVersionId:
        return TemplateVersionId(self._ids.next())


def _differing(old: Template, name: str, content: TemplateContent) -> dict[str, object]:
    """Which fields a change replaces: their values are in the versions."""
    names = [each.name for each in fields(content) if getattr(content, each.name) != getattr(old.content, each.name)]
    return {"changed": ", ".join([*(["name"] if name != old.name else []), *names])}


def _target(template_id: TemplateId) -> str:
    return format_id(TEMPLATE_PREFIX, template_id)


async def _run(
    fence: Fence, account_id: AccountId, job: Callable[..., object], *arguments: object
) -> Any:  # JSON, of a form that the job has
    try:
        return await fence.run(job, *arguments, lane=account_id, refusal=TemplateError)
    except TooCostly as error:
        raise TemplateError(str(error)) from None


def changed(old: TemplateContent, change: TemplateChange, compiled: str | None) -> TemplateContent:
    """The content with its changes; `compiled` is the HTML of the new design."""
    html = compiled if change.html is None else change.html
    return TemplateContent(
        subject=old.subject if change.subject is None else change.subject,
        html=old.html if html is None else html,
        text=old.text if change.text is None else change.text,
        engine=change.engine or old.engine,
        variables=old.variables if change.variables is None else change.variables,
        blocks=None if change.clears_blocks else change.blocks if change.blocks is not None else old.blocks,
    )


def sources_of(content: TemplateContent) -> dict[str, str]:
    """The sources by field. Raises `BadTemplate` for one that is too long."""
    found: dict[str, str] = {}
    for field, source, limit in (
        ("subject", content.subject, MAX_SUBJECT),
        ("html", content.html, MAX_SOURCE),
        ("text", content.text, MAX_TEXT),
    ):
        if source is not None and len(source) > limit:
            raise BadTemplate(field, f"it has at most {limit:,} characters")
        if source is not None:
            found[field] = source
    return found
