"""Mail that the program itself sends on behalf of an account: from the account's oldest verified domain, through the door like any other."""

from dataclasses import dataclass
from typing import Final

from sendryd.intake.accept import Intake
from sendryd.intake.obey import BOUNDARY_LENGTH
from sendryd.intake.submission import Options, Origin, Receipt, Recipient, Submission
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
_PRIVATE: Final = Options(track_opens=False, track_clicks=False, tags=(PRIVATE_TAG,), is_straight=True)
_OPEN: Final = Options(track_opens=False, track_clicks=False, is_straight=True)

log = get_logger("intake")


@dataclass(frozen=True, slots=True, kw_only=True)
class TestMail:
    """A mail that a person sends to see that mail arrives."""

    __test__ = False  # no test class

    domain: str  # of the sender
    to: str
    by: str  # the person's name


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
            submission = self._submission(account_id, author, notice.to, notice.subject, notice.text, _PRIVATE)
        except MalformedMessage as error:
            log.warning("notice_not_sent", reason=error.reason)
            return False
        receipt = await self._intake.accept(submission)
        if isinstance(receipt, Refusal):
            log.warning("notice_not_sent", reason=receipt.sentence)
            return False
        return True

    async def send_test(self, account_id: AccountId, mail: TestMail) -> Receipt | Refusal:
        """Sends a short mail. Raises `MalformedMessage` if an address is none."""
        author = Mailbox("sendryd", LOCAL_PART, parse_mailbox(f"{LOCAL_PART}@{mail.domain}").domain)
        text = f"{mail.by} sent this mail to see that mail from {mail.domain} arrives.\n\nNothing needs to be done.\n"
        return await self._intake.accept(self._submission(account_id, author, mail.to, f"Test mail from {author.domain}", text, _OPEN))

    def _submission(self, account_id: AccountId, author: Mailbox, to: str, subject: str, text: str, options: Options) -> Submission:
        mailbox = parse_mailbox(to)
        content = compose(
            Composition(author=author, to=(mailbox,), subject=subject, text=text), boundary=self._rand.secret(BOUNDARY_LENGTH)
        )
        return Submission(
            actor=System(account_id),
            reverse_path=author.address,
            recipients=(Recipient(mailbox.address, mailbox.domain, is_ascii=mailbox.is_ascii),),
            content=content,
            is_8bit=not content.isascii(),
            origin=_ORIGIN,
            options=options,
        )
