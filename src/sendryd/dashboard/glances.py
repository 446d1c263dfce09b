"""What a list shows of the contents of its mails: the first line, attachments, words of the header. The store does not know it, so contents are
read, once each: a content never changes.

Reads at most `MAX_READ` octets for one list, and leaves the rest for the next look. Remembers `KEPT` mails in this process.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sendryd.message.parse import summarise
from sendryd.message.plaintext import strip_tags
from sendryd.model.ids import MessageId
from sendryd.model.message import Message
from sendryd.policy.privacy import shown_content
from sendryd.runtime import offload
from sendryd.runtime.answers import Answers
from sendryd.runtime.budget import BudgetExhausted
from sendryd.store.base import MailStore, QueueFilter
from sendryd.store.errors import ContentDamaged, NotFound, StoreError

KEPT: Final = 2_000  # mails, of some two kilobytes each
MAX_READ: Final = 16 * 1024 * 1024  # octets; a single content may be larger
MAX_LINE: Final = 120  # characters of the first line
MAX_WORDS: Final = 4_096  # characters of the header that are searched: usual headers have two thousand
MAX_HTML: Final = 64 * 1024  # characters of HTML in which the first line is looked for
MAX_RECIPIENTS: Final = 50  # of the envelope that are searched, also those that no header field names
_SPACES: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Glance:
    """A mail's content at a glance."""

    attachments: int
    line: str  # the beginning of its text
    words: str  # header fields and recipients, for searching: in lower case


class Glances:
    """Reads contents, and remembers what was seen."""

    def __init__(self, store: MailStore, answers: Answers) -> None:
        self._store = store
        self._answers = answers
        self._kept: OrderedDict[MessageId, Glance | None] = OrderedDict()  # None: its content is lost

    async def of(self, messages: Sequence[Message]) -> dict[MessageId, Glance | None]:
        """What was seen, by message; None for a content that cannot be read. Without those whose turn has not come."""
        seen = await self._read(messages)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return seen

    async def _read(self, messages: Sequence[Message]) -> dict[MessageId, Glance | None]:
        octets = 0
        seen: dict[MessageId, Glance | None] = {}
        for message in messages:
            if message.id in self._kept:
                self._kept.move_to_end(message.id)
            else:
                octets += message.size
                if octets > MAX_READ and octets > message.size:
                    break
                try:
                    self._kept[message.id] = await self._look(message)
                except (ContentDamaged, NotFound):
                    self._kept[message.id] = None
                except (BudgetExhausted, StoreError):
                    break
            seen[message.id] = self._kept[message.id]
        return seen

    async def _look(self, message: Message) -> Glance:
        deliveries = await self._store.list_queue(QueueFilter(message_id=message.id), limit=MAX_RECIPIENTS)
        async with self._answers.room(message.size):
            content = shown_content(message, await self._store.read_content(message.id))
            return await offload.in_thread(_glance, content, [each.forward_path for each in deliveries])


def _glance(content: bytes, recipients: Sequence[str]) -> Glance:
    summary = summarise(content)
    text = summary.text if summary.text is not None else strip_tags((summary.html or "")[:MAX_HTML])
    words = "\n".join([*recipients, *(f"{name}: {value}" for name, value in summary.headers)])
    return Glance(
        attachments=len(summary.attachments),
        line=_clean(_SPACES.sub(" ", text[: 8 * MAX_LINE]).strip()[:MAX_LINE]),
        words=_clean(words[:MAX_WORDS].lower()),
    )


def _clean(text: str) -> str:
    """Text that can be encoded: strangers' may contain lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")
