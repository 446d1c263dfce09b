"""The end of an account."""

from datetime import datetime
from typing import Protocol

from sendryd.model.ids import AccountId
from sendryd.model.people import AuditEntry


class ClosingStore(Protocol):
    """Deletes accounts."""

    async def count_waiting(self, account_id: AccountId) -> int:
        """Deliveries of an account that are queued, under way or held."""
        ...

    async def close_account(self, account_id: AccountId, name: str, now: datetime, audit: AuditEntry) -> None:
        """Ends an account: its keys are revoked; its domains with their private keys, webhooks, templates, lists, reports, logs, settings and
        the mail that came in are deleted, and so are its memberships, with the people who are in no other account. Messages and events stay
        until their retention ends, the audit likewise. The row stays, nameless but for `name`, as the account of the installation's next owner.
        Durable.

        Raises `NotFound`, and `MailWaits` while a delivery of the account waits: nothing is changed then.
        """
        ...
