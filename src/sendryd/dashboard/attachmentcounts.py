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
from sendryd.runtime import offload
from sendryd.runtime.answers import Answers
from sendryd.runtime.budget import BudgetExhausted
from sendryd.store.base import Store
from sendryd.store.errors import StoreError

KEPT: Final = 5_000
MAX_READ: Final = 16 * 1024 * 1024  # octets; a single content may be larger


class AttachmentCounts:
    """Counts attachments."""

    def __init__(self, store: Store, answers: Answers) -> None:
        self._store = store
        self._answers = answers
        self._kept: OrderedDict[MessageId, int] = OrderedDict()

    async def of(self, messages: Sequence[Message]) -> dict[MessageId, int]:
        """The counts by message. Without those whose turn has not come, or whose content cannot be read."""
        octets = 0
        for message in messages:
            if message.id in self._kept:
                self._kept.move_to_end(message.id)
            elif octets == 0 or octets + message.size <= MAX_READ:
                octets += message.size
                await self._count(message)
        found = {message.id: self._kept[message.id] for message in messages if message.id in self._kept}
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    async def _count(self, message: Message) -> None:
        try:
            async with self._answers.room(message.size):
                self._kept[message.id] = await offload.in_thread(_number, await self._store.read_content(message.id))
        except (BudgetExhausted, StoreError):
            return


def _number(content: bytes) -> int:
    try:
        return len(attachment_parts(walk(content)))
    except MalformedMessage:
        return 0
