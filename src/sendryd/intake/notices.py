"""Mail that the program itself sends on behalf of an account: from the account's oldest verified domain, through the door like any other."""

from dataclasses import dataclass
from typing import Final

from sendryd.intake.accept import Intake
from sendryd.intake.obey import BOUNDARY_LENGTH
from sendryd.intake.submission import Options, Origin, Recipient, Submission
from sendryd.message.compose import Composition, compose
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import Mailbox, parse_mailbox
from sendryd.model.actor import System
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import AccountId
from sendryd.policy.privacy import PRIVATE_TAG
from sendryd.policy.refusal import Refusal
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import Store

LOCAL_PART: Final = "no-reply"
_ORIGIN: Final = Origin(hello="localhost", address="127.0.0.1", tls=None, is_smtputf8=False, is_http=True)
_OPTIONS: Final = Options(track_opens=False, track_clicks=False, tags=(PRIVATE_TAG,))

log = get_logger("intake")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A mail to one person. Only the person can read its text: pages and REST do not show it."""

    author: str  # the display name
    to: str
    subject: str
    text: str


class Notices:
    """Sends notices."""

    def __init__(self, store: Store, intake: Intake, *, rand: Rand) -> None:
        self._store = store
        self._intake = intake
        self._rand = rand

    async def send(self, account_id: AccountId, notice: Notice) -> bool:
        """Whether the mail is stored; False without a verified domain, or if the door refuses it."""
        verified = [each for each in await self._store.list_domains(account_id) if each.status is DomainStatus.VERIFIED]
        if not verified:
            return False
        author = Mailbox(notice.author, LOCAL_PART, min(verified, key=lambda each: each.id).name)
        try:
            mailbox = parse_mailbox(notice.to)
            what = Composition(author=author, to=(mailbox,), subject=notice.subject, text=notice.text)
            content = compose(what, boundary=self._rand.secret(BOUNDARY_LENGTH))
        except MalformedMessage as error:
            log.warning("notice_not_sent", reason=error.reason)
            return False
        submission = Submission(
            actor=System(account_id),
            reverse_path=author.address,
            recipients=(Recipient(mailbox.address, mailbox.domain, is_ascii=mailbox.is_ascii),),
            content=content,
            is_8bit=not content.isascii(),
            origin=_ORIGIN,
            options=_OPTIONS,
        )
        receipt = await self._intake.accept(submission)
        if isinstance(receipt, Refusal):
            log.warning("notice_not_sent", reason=receipt.sentence)
            return False
        return True
