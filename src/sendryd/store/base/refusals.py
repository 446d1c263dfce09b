"""Submissions that were refused at the SMTP door, and the addresses that it refuses as a whole."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sendryd.model.blockedaddress import BlockedAddress
from sendryd.model.ids import AccountId, SmtpRefusalId
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.store.base.paging import Page


class RefusalStore(Protocol):
    """The log of the SMTP door. It has the latest refusals alone."""

    async def add_smtp_refusals(
        self, refusals: Sequence[SmtpRefusal], more: Mapping[SmtpRefusalId, int], *, keep_since: datetime, most: int
    ) -> None:
        """Stores refusals, and adds numbers to stored ones. Deletes those from before `keep_since`, and all but the latest `most`."""
        ...

    async def page_smtp_refusals(
        self, account_id: AccountId | None, *, text: str | None = None, limit: int, before: SmtpRefusalId | None = None
    ) -> Page[SmtpRefusal]:
        """Refusals of an account's keys, or all of them, newest first; `text` is looked for in sender, recipients and the client's address."""
        ...

    async def block_address(self, blocked: BlockedAddress, *, limit: int) -> None:
        """Stores a block, in place of an earlier one of the network, and forgets those that ended before it. Durable. Raises `LimitReached`
        beyond `limit` blocks.
        """
        ...

    async def unblock_address(self, network: str) -> None:
        """Removes a block. Durable. Raises `NotFound`."""
        ...

    async def list_blocked_addresses(self) -> list[BlockedAddress]:
        """All blocks, also those whose time has ended, by network. Cheap."""
        ...
