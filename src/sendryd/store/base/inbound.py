"""Mail that came in: stored, listed, forwarded, deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sendryd.model.ids import AccountId, InboundId
from sendryd.model.inbound import InboundMail
from sendryd.store.base.paging import Page


class InboundStore(Protocol):
    """Mail that came in for accounts."""

    async def find_receiving_account(self, name: str) -> AccountId | None:
        """The account that has a verified sending domain of this name; the first one, if there are several."""
        ...

    async def has_reader(self, account_id: AccountId) -> bool:
        """Whether an account has a member, or an API key that is not revoked. One that was deleted has neither until its next owner."""
        ...

    async def add_inbound(self, mails: Sequence[InboundMail]) -> frozenset[InboundId]:
        """Stores mails, all or none, but for those of an account that has ended: it has neither a reader nor a sending domain. Durable. Returns the ids
        of those that are stored.
        """
        ...

    async def get_inbound(self, account_id: AccountId, inbound_id: InboundId) -> InboundMail | None:
        """One mail of an account."""
        ...

    async def page_inbound(self, account_id: AccountId, *, limit: int, before: InboundId | None = None) -> Page[InboundMail]:
        """Mails of an account, newest first."""
        ...

    async def list_inbound_due(self, now: datetime, *, limit: int) -> list[InboundMail]:
        """Mails of all accounts that are to be posted now, longest due first."""
        ...

    async def note_forwarding(self, inbound_id: InboundId, *, is_forwarded: bool, due_at: datetime | None) -> None:
        """Stores the outcome of an attempt to post a mail, which counts. A deleted mail is left out."""
        ...

    async def delete_inbound(self, *, created_before: datetime, limit: int) -> int:
        """Deletes mails, oldest first. Returns how many."""
        ...
