"""Stored templates: kept only if they can be read, rendered with their variables."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sendryd.message.blocks import BlockError, check_design, compile_blocks
from sendryd.message.template import MAX_SOURCE, Rendered, TemplateError, check_template, render_all, variable_names
from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import Page, TemplateStore
from sendryd.store.errors import NotFound

MAX_NAME: Final = 200  # characters: the contract
MAX_SUBJECT: Final = 998  # characters: a line of a header
MAX_TEXT: Final = 1_048_576  # characters: the contract's limit for a text
COPY_SUFFIX: Final = " (copy)"
INLINE_SIZE: Final = 64 * 1024  # characters rendered in about a millisecond; larger sources are worked on beside the event loop


class BadTemplate(ValueError):
    """A template that cannot be stored; the message says what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field  # of the request


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateChange:
    """What becomes of a template; None: it stays."""

    name: str | None = None
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    engine: str | None = None
    variables: Mapping[str, Any] | None = None
    blocks: Mapping[str, Any] | None = None
    clears_blocks: bool = False  # the design is taken away; the HTML stays


EMPTY: Final = TemplateContent(subject=None, html=None, text=None, engine="html", variables=None, blocks=None)


class TemplateOffice:
    """What is done with templates, at whatever door."""

    def __init__(self, store: TemplateStore, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def get(self, account_id: AccountId, template_id: TemplateId) -> Template:
        """One template. Raises `NotFound`."""
        template = await self._store.get_template(account_id, template_id)
        if template is None:
            raise NotFound("no such template")
        return template

    async def page(self, account_id: AccountId, *, limit: int, before: TemplateId | None) -> Page[Template]:
        """Templates, newest first."""
        return await self._store.page_templates(account_id, limit=limit, before=before)

    async def add(self, account_id: AccountId, change: TemplateChange) -> Template:
        """A new template. Raises `BadTemplate`."""
        now = self._clock.now()
        template = Template(
            id=TemplateId(self._ids.next()),
            account_id=account_id,
            name=change.name or "",
            content=await asyncio.to_thread(changed, EMPTY, change),
            created_at=now,
            updated_at=now,
        )
        await self._store.add_template(template, self._version_id())
        return template

    async def update(self, account_id: AccountId, template_id: TemplateId, change: TemplateChange) -> Template:
        """A template with another content, which becomes its next version. Raises `NotFound`, `BadTemplate`."""
        old = await self.get(account_id, template_id)
        return await self._store.update_template(
            account_id,
            template_id,
            name=change.name or old.name,
            content=await asyncio.to_thread(changed, old.content, change),
            version_id=self._version_id(),
            now=self._clock.now(),
        )

    async def duplicate(self, account_id: AccountId, template_id: TemplateId) -> Template:
        """A copy under another name. Raises `NotFound`."""
        old, now = await self.get(account_id, template_id), self._clock.now()
        name = old.name[: MAX_NAME - len(COPY_SUFFIX)] + COPY_SUFFIX
        copy = replace(old, id=TemplateId(self._ids.next()), name=name, created_at=now, updated_at=now)
        await self._store.add_template(copy, self._version_id())
        return copy

    async def remove(self, account_id: AccountId, template_id: TemplateId) -> None:
        """Removes a template. Raises `NotFound`."""
        await self._store.remove_template(account_id, template_id)

    async def versions(self, account_id: AccountId, template_id: TemplateId) -> list[TemplateVersion]:
        """All versions, newest first. Raises `NotFound`."""
        return await self._store.list_template_versions(account_id, template_id)

    async def publish(self, account_id: AccountId, template_id: TemplateId, version_id: TemplateVersionId) -> Template:
        """Makes a version the content of its template. Raises `NotFound`."""
        return await self._store.publish_template_version(account_id, template_id, version_id, self._clock.now())

    async def render(self, account_id: AccountId, template_id: TemplateId, variables: Mapping[str, Any]) -> Rendered:
        """A template with its variables in place. Raises `NotFound`, `TemplateError`."""
        return await render_content((await self.get(account_id, template_id)).content, variables)

    def _version_id(self) -> TemplateVersionId:
        return TemplateVersionId(self._ids.next())


async def render_content(content: TemplateContent, variables: Mapping[str, Any]) -> Rendered:
    """What may be no stored template, with its variables in place. Raises `TemplateError`."""

    def work() -> Rendered:
        return render_all(subject=content.subject, html=content.html, text=content.text, schema=content.variables, variables=variables)

    is_large = len(content.html or "") + len(content.text or "") > INLINE_SIZE
    return await asyncio.to_thread(work) if is_large else work()


def changed(old: TemplateContent, change: TemplateChange) -> TemplateContent:
    """The content with what changes. A design that comes without HTML is compiled. Raises `BadTemplate`."""
    blocks = None if change.clears_blocks else change.blocks if change.blocks is not None else old.blocks
    html = change.html
    if change.blocks is not None:
        try:
            check_design(change.blocks)
        except BlockError as error:
            raise BadTemplate("blocks", str(error)) from None
        html = compile_blocks(change.blocks) if html is None else html
    content = TemplateContent(
        subject=old.subject if change.subject is None else change.subject,
        html=old.html if html is None else html,
        text=old.text if change.text is None else change.text,
        engine=change.engine or old.engine,
        variables=old.variables if change.variables is None else change.variables,
        blocks=blocks,
    )
    for field, source, limit in (
        ("subject", content.subject, MAX_SUBJECT),
        ("html", content.html, MAX_SOURCE),
        ("text", content.text, MAX_TEXT),
    ):
        if source is None:
            continue
        if len(source) > limit:
            raise BadTemplate(field, f"it has at most {limit:,} characters")
        try:
            _check_source(source)
        except TemplateError as error:
            raise BadTemplate(field, str(error)) from None
    return content


def _check_source(source: str) -> None:
    """Refuses what no variables could make good: syntax, unknown filters and functions. Raises `TemplateError`."""
    variable_names(source)
    try:
        check_template(source)
    except TemplateError as error:
        # What is calculated with a variable fails while that has no value.
        if not str(error).startswith("invalid operation"):
            raise
