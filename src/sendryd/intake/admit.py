"""Step 2 of the door: whether this actor may send as this author, and as the domains of Sender and Resent fields."""

from sendryd.intake.directory import Directory
from sendryd.intake.prepare import ParsedMessage
from sendryd.intake.read import Read
from sendryd.intake.submission import Submission
from sendryd.model.apikey import KeyMode
from sendryd.model.domain import SendingDomain
from sendryd.policy.admission import admit_author
from sendryd.policy.refusal import Refusal
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True)
class Admitted:
    """A parsed message that its actor may send."""

    submission: Submission
    parsed: ParsedMessage
    domain: SendingDomain | None  # whose key signs; None in test mode, where nothing is signed


class Admitter:
    """Admits messages by the account's domains in the directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def admit(self, read: Read) -> Admitted | Refusal:
        """The message with its signing domain, or the refusal. Raises `StoreError`."""
        actor, parsed = read.submission.actor, read.parsed
        if actor.mode is KeyMode.TEST:
            return Admitted(read.submission, parsed, None)
        for name in parsed.responsible_domains:
            other = admit_author(actor, name, await self._directory.covering_domains(actor.account_id, name))
            if isinstance(other, Refusal):
                return other
        name = parsed.author.domain
        domain = admit_author(actor, name, await self._directory.covering_domains(actor.account_id, name))
        return domain if isinstance(domain, Refusal) else Admitted(read.submission, parsed, domain)
