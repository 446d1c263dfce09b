"""How many attachments mails in a list have. The store does not know it, so contents are read, once each: a content never changes.

Reads at most `MAX_READ` octets for one list, and leaves the rest for the next look. Remembers the counts of `KEPT` mails in this process.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from sendryd.message.errors import MalformedMessage
from sendryd.message.parse import attachment_parts, walk
from sendryd.model.ids import MessageId
from sendryd.model.message import Message
from sendryd.policy.privacy import shown_content
from sendryd.runtime import offload
from sendryd.runtime.answers import Answers
from sendryd.runtime.budget import BudgetExhausted
from sendryd.store.base import MailStore
from sendryd.store.errors import ContentDamaged, NotFound, StoreError

KEPT: Final = 5_000
MAX_READ: Final = 16 * 1024 * 1024  # octets; a single content may be larger


class AttachmentCounts:
    """Counts attachments."""

    def __init__(self, store: MailStore, answers: Answers) -> None:
        self._store = store
        self._answers = answers
        self._kept: OrderedDict[MessageId, int | None] = OrderedDict()  # None: its content is lost

    async def of(self, messages: Sequence[Message]) -> dict[MessageId, int]:
        """The counts by message. Without those whose turn has not come, or whose content cannot be read."""
        await self._count(messages)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        kept = ((message.id, self._kept.get(message.id)) for message in messages)
        return {message_id: number for message_id, number in kept if number is not None}

    async def _count(self, messages: Sequence[Message]) -> None:
        octets = 0
        for message in messages:
            if message.id in self._kept:
                self._kept.move_to_end(message.id)
                continue
            octets += message.size
            if octets > MAX_READ and octets > message.size:
                return
            try:
                async with self._answers.room(message.size):
                    content = shown_content(message, await self._store.read_content(message.id))
                    self._kept[message.id] = await offload.in_thread(_number, content)
            except (ContentDamaged, NotFound):
                self._kept[message.id] = None
            except (BudgetExhausted, StoreError):
                return


def _number(content: bytes) -> int:
    try:
        return len(attachment_parts(walk(content)))
    except MalformedMessage:
        return 0
