"""Stored templates."""

from datetime import datetime
from typing import Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.store.base.paging import Page


class TemplateStore(Protocol):
    """Stored templates, for the API and `intake`."""

    async def add_template(self, template: Template, version_id: TemplateVersionId, *, limit: int | None = None) -> None:
        """Stores a template with its first version. Durable. Raises `LimitReached` if the account would have more than `limit`; templates that
        test keys made do not count towards the limit of live keys.
        """
        ...

    async def get_template(self, account_id: AccountId, template_id: TemplateId) -> Template | None:
        """One template of an account. Cheap: a look-up by key."""
        ...

    async def page_templates(self, account_id: AccountId, *, limit: int, before: TemplateId | None = None) -> Page[Template]:
        """Templates, newest first."""
        ...

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
        """Replaces name, content and mode; a different content becomes the next version. Durable. Raises `NotFound`, and `Changed` if the stored
        template is not `before`.
        """
        ...

    async def remove_template(self, account_id: AccountId, template_id: TemplateId) -> None:
        """Removes a template with its versions. Durable. Raises `NotFound`."""
        ...

    async def list_template_versions(self, account_id: AccountId, template_id: TemplateId) -> list[TemplateVersion]:
        """All versions, newest first. Raises `NotFound`."""
        ...

    async def publish_template_version(self, before: Template, version_id: TemplateVersionId, *, mode: KeyMode, now: datetime) -> Template:
        """Makes a version's content the template's content. Durable. Raises `NotFound`, and `Changed` if the stored template is not `before`."""
        ...
