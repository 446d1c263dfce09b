"""Replies that no pattern knows: counted, listed, forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sendryd.model.unknownreply import UnknownReply


class UnknownReplyStore(Protocol):
    """Unknown replies of receiving servers."""

    async def add_unknown_replies(self, replies: Sequence[UnknownReply], *, most: int) -> None:
        """Adds the numbers to those of the same shapes. Beyond `most` shapes, those that were seen last longest ago are deleted."""
        ...

    async def list_unknown_replies(self, *, limit: int) -> list[UnknownReply]:
        """The unknown replies, the most frequent first."""
        ...

    async def delete_unknown_replies(self, *, seen_before: datetime) -> int:
        """Deletes the shapes that were seen last before then. Returns how many."""
        ...

    async def forget_unknown_reply(self, shape: str) -> bool:
        """Deletes one shape. False if it is not there."""
        ...
