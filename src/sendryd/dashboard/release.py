"""Releases captured mail: a copy goes to a real address, through the door like any other mail of the account, with its live rules.

The copy names the captured message in a tag, the audit names the copy: each leads to the other.
"""

from collections.abc import Sequence
from typing import Final

from sendryd.accounts.audit import Audit, By
from sendryd.intake.accept import Intake
from sendryd.intake.submission import Options, Origin, Recipient, Submission
from sendryd.message.author import parse_author
from sendryd.message.headers import HeaderBlock
from sendryd.message.mailbox import Mailbox, parse_mailbox
from sendryd.model.actor import Actor
from sendryd.model.ids import TEST_MESSAGE_PREFIX, MessageId, format_id, parse_id
from sendryd.model.message import Message
from sendryd.policy.privacy import PRIVATE_TAG
from sendryd.policy.refusal import Refusal
from sendryd.store.base import Store

RELEASED: Final = "test_email.released"  # the action in the audit
SOURCE_TAG: Final = "released-from"
_ORIGIN: Final = Origin(hello="localhost", address="127.0.0.1", tls=None, is_smtputf8=False, is_http=True)
_MAX_LISTED: Final = 20  # entries of the audit about one message


class Releases:
    """Releases captured messages. The caller has checked the right to do so."""

    def __init__(self, store: Store, intake: Intake, audit: Audit) -> None:
        self._store = store
        self._intake = intake
        self._audit = audit

    async def release(self, message: Message, content: bytes, to: str, actor: Actor, by: By) -> str | Refusal:
        """Sends the copy, and returns its public id. Raises `MalformedMessage` for an address that is none."""
        mailbox = parse_mailbox(to)
        author = parse_author(HeaderBlock.parse(content).all(b"from")[0])
        source = format_id(TEST_MESSAGE_PREFIX, message.id)
        submission = Submission(
            actor=actor,
            reverse_path=Mailbox("", author.local_part, author.domain).address,
            recipients=(Recipient(mailbox.address, mailbox.domain, is_ascii=mailbox.is_ascii),),
            content=content,
            is_8bit=message.is_8bit,
            origin=_ORIGIN,
            options=Options(
                type=message.type,
                tags=(*(tag for tag in message.tags if tag != PRIVATE_TAG and tag[0] != SOURCE_TAG), (SOURCE_TAG, source)),
                template_id=message.template_id,
                list_id=message.list_id,
                unsubscribe_url=message.unsubscribe_url,
                is_straight=True,
            ),
        )
        receipt = await self._intake.accept(submission)
        if isinstance(receipt, Refusal):
            return receipt
        after = {"email": receipt.message_id, "to": mailbox.address}
        await self._audit.add(by.account_id, by.actor, by.client, RELEASED, source, after=after)
        return receipt.message_id

    async def copies(self, message: Message) -> list[tuple[str, str]]:
        """Public id and address of each copy of a captured message, newest first."""
        found = await self._store.list_audit(message.account_id, limit=_MAX_LISTED, text=format_id(TEST_MESSAGE_PREFIX, message.id))
        return [(str(each.after.get("email", "")), str(each.after.get("to", ""))) for each in found.items if each.action == RELEASED]


def source_of(tags: Sequence[tuple[str, str]]) -> MessageId | None:
    """The captured message that a message with these tags is a copy of."""
    text = next((value for name, value in tags if name == SOURCE_TAG), "")
    number = parse_id(text, TEST_MESSAGE_PREFIX)
    return None if number is None else MessageId(number)
