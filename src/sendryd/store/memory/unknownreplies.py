"""Unknown replies, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sendryd.model.unknownreply import UnknownReply


class MemoryUnknownReplies:
    """`UnknownReplyStore` without a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._unknown: dict[str, UnknownReply] = {}

    async def add_unknown_replies(self, replies: Sequence[UnknownReply], *, most: int) -> None:
        for each in replies:
            known = self._unknown.get(each.shape)
            first = min(known.first_at, each.first_at) if known else each.first_at
            self._unknown[each.shape] = replace(each, number=each.number + (known.number if known else 0), first_at=first)
        kept = sorted(self._unknown.values(), key=lambda each: (each.last_at, each.shape), reverse=True)[:most]
        self._unknown = {each.shape: each for each in kept}

    async def list_unknown_replies(self, *, limit: int) -> list[UnknownReply]:
        return sorted(self._unknown.values(), key=lambda each: (-each.number, each.shape))[:limit]

    async def delete_unknown_replies(self, *, seen_before: datetime) -> int:
        old = [each.shape for each in self._unknown.values() if each.last_at < seen_before]
        for shape in old:
            del self._unknown[shape]
        return len(old)

    async def forget_unknown_reply(self, shape: str) -> bool:
        return self._unknown.pop(shape, None) is not None
