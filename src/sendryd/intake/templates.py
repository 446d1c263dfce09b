"""Stored templates: kept only if they can be read, rendered with their variables."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sendryd.intake.changes import reapply
from sendryd.message.blocks import BlockError, check_design, compile_blocks
from sendryd.message.template import MAX_SOURCE, Rendered, TemplateError, check_template, render_all, variable_names
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.policy.permissions import NotForLiveMail, check_change
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

    def __init__(self, store: TemplateStore, *, clock: Clock, ids: IdSource, max_templates: int | None = None) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._max_templates = max_templates

    async def get(self, account_id: AccountId, template_id: TemplateId) -> Template:
        """One template. Raises `NotFound`."""
        template = await self._store.get_template(account_id, template_id)
        if template is None:
            raise NotFound("no such template")
        return template

    async def page(self, account_id: AccountId, *, limit: int, before: TemplateId | None) -> Page[Template]:
        """Templates, newest first."""
        return await self._store.page_templates(account_id, limit=limit, before=before)

    async def add(self, account_id: AccountId, change: TemplateChange, *, by: KeyMode = KeyMode.LIVE) -> Template:
        """A new template; one that a test key makes is for test mail alone. Raises `BadTemplate`, `LimitReached`."""
        now = self._clock.now()
        template = Template(
            id=TemplateId(self._ids.next()),
            account_id=account_id,
            name=change.name or "",
            content=await asyncio.to_thread(changed, EMPTY, change),
            created_at=now,
            updated_at=now,
            mode=by,
        )
        await self._store.add_template(template, self._version_id(), limit=self._max_templates)
        return template

    async def update(
        self, account_id: AccountId, template_id: TemplateId, change: TemplateChange, *, by: KeyMode = KeyMode.LIVE
    ) -> Template:
        """A template with another content, which becomes its next version. What a live key saves, live mail can use. Raises `NotFound`,
        `BadTemplate`, `LiveKeyNeeded`.
        """

        async def attempt() -> Template:
            old = await self._find(account_id, template_id, by)
            return await self._store.update_template(
                old,
                name=change.name or old.name,
                content=await asyncio.to_thread(changed, old.content, change),
                mode=by,
                version_id=self._version_id(),
                now=self._clock.now(),
            )

        return await reapply(attempt)

    async def _find(self, account_id: AccountId, template_id: TemplateId, by: KeyMode) -> Template:
        """A template that a key of this mode may change. Raises `NotFound`, `LiveKeyNeeded`."""
        template = await self.get(account_id, template_id)
        check_change(by, template.mode)
        return template

    async def duplicate(self, account_id: AccountId, template_id: TemplateId, *, by: KeyMode = KeyMode.LIVE) -> Template:
        """A copy under another name. Raises `NotFound`, `LimitReached`."""
        old, now = await self.get(account_id, template_id), self._clock.now()
        name = old.name[: MAX_NAME - len(COPY_SUFFIX)] + COPY_SUFFIX
        copy = replace(old, id=TemplateId(self._ids.next()), name=name, created_at=now, updated_at=now, mode=by)
        await self._store.add_template(copy, self._version_id(), limit=self._max_templates)
        return copy

    async def remove(self, account_id: AccountId, template_id: TemplateId, *, by: KeyMode = KeyMode.LIVE) -> None:
        """Removes a template. Raises `NotFound`, `LiveKeyNeeded`."""
        await self._find(account_id, template_id, by)
        await self._store.remove_template(account_id, template_id)

    async def versions(self, account_id: AccountId, template_id: TemplateId) -> list[TemplateVersion]:
        """All versions, newest first. Raises `NotFound`."""
        return await self._store.list_template_versions(account_id, template_id)

    async def publish(
        self, account_id: AccountId, template_id: TemplateId, version_id: TemplateVersionId, *, by: KeyMode = KeyMode.LIVE
    ) -> Template:
        """Makes a version the content of its template. What a live key publishes, live mail can use. Raises `NotFound`, `LiveKeyNeeded`."""

        async def attempt() -> Template:
            old = await self._find(account_id, template_id, by)
            return await self._store.publish_template_version(old, version_id, mode=by, now=self._clock.now())

        return await reapply(attempt)

    async def render(self, account_id: AccountId, template_id: TemplateId, variables: Mapping[str, Any], *, mode: KeyMode) -> Rendered:
        """A template with its variables in place, for mail of this mode. Raises `NotFound`, `TemplateError`, and `NotForLiveMail` if live mail
        would use what a test key made.
        """
        template = await self.get(account_id, template_id)
        if mode is KeyMode.LIVE and template.mode is KeyMode.TEST:
            raise NotForLiveMail("it was made with a test key: save it with a live key before live mail uses it")
        return await render_content(template.content, variables)

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
