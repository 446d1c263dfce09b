"""Stored templates."""

from datetime import datetime
from typing import Protocol

from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent, TemplateVersion
from sendryd.store.base.paging import Page


class TemplateStore(Protocol):
    """What the API and the door do with templates."""

    async def add_template(self, template: Template, version_id: TemplateVersionId) -> None:
        """Stores a template with its first version. Durable."""
        ...

    async def get_template(self, account_id: AccountId, template_id: TemplateId) -> Template | None:
        """One template of an account. Cheap: a look-up by key."""
        ...

    async def page_templates(self, account_id: AccountId, *, limit: int, before: TemplateId | None = None) -> Page[Template]:
        """Templates, newest first."""
        ...

    async def update_template(
        self,
        account_id: AccountId,
        template_id: TemplateId,
        *,
        name: str,
        content: TemplateContent,
        version_id: TemplateVersionId,
        now: datetime,
    ) -> Template:
        """Replaces name and content; a content that differs becomes the next version. Durable. Raises `NotFound`."""
        ...

    async def remove_template(self, account_id: AccountId, template_id: TemplateId) -> None:
        """Removes a template with its versions. Durable. Raises `NotFound`."""
        ...

    async def list_template_versions(self, account_id: AccountId, template_id: TemplateId) -> list[TemplateVersion]:
        """All versions, newest first. Raises `NotFound`."""
        ...

    async def publish_template_version(
        self, account_id: AccountId, template_id: TemplateId, version_id: TemplateVersionId, now: datetime
    ) -> Template:
        """Makes the content of a version that of its template. Durable. Raises `NotFound`."""
        ...
