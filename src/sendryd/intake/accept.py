"""The single door: five steps from a submission to its receipt.

Does: reads the header block (`read`), checks that the actor may send it (`admit`), applies control headers, template and tracking
(`obey`), makes the final bytes and the deliveries (`assemble`), and stores all of it in one durable transaction (`commit`). The receipt follows
the commit.
Reads: keys and sending domains, through the directory; templates; suppressed addresses; answers to idempotent requests.
Writes: through `commit` alone.
When things fail: a message that the store cannot take is refused temporarily; nothing is half accepted.
Limits: those of the header block in `message.headers`; the submission session and the REST API limit size and number of recipients.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sendryd.intake.assemble import Assembler, Prepared
from sendryd.intake.commit import Committer, unstored
from sendryd.intake.directory import Directory
from sendryd.intake.fingerprint import fingerprint
from sendryd.intake.handoff import Handoff
from sendryd.intake.idempotency import Answered, Asked, Idempotency, answer_name
from sendryd.intake.obey import Obeyer, TemplateRenderer
from sendryd.intake.prepare import parse_message, without_mbox_line
from sendryd.intake.quota import QuotaLedger
from sendryd.intake.submission import Admitted, Read, Receipt, Submission
from sendryd.message.errors import MalformedMessage
from sendryd.model.actor import key_id_of
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import MessageId
from sendryd.policy.admission import admit_author, admit_reverse_path_of_live_mail
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.wayout import STRAIGHT, WayKind, way_out
from sendryd.runtime import offload
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.rand import Rand
from sendryd.runtime.wakeup import Doorbell
from sendryd.store.base import AcceptStore
from sendryd.store.errors import StoreError

LARGE_HEADER: Final = 32 * 1024  # octets: decoding the displayed fields of a larger block takes milliseconds

Made = tuple[Sequence[Prepared], bytes]  # messages, and the answer to their request


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """Settings of the installation that the door needs."""

    hostname: str
    hide_client_address: bool = False


class Intake:
    """The door. SMTP uses `accept`; REST and reports compose messages and use `prepare` and `send_once`."""

    def __init__(
        self,
        store: AcceptStore,
        directory: Directory,
        settings: IntakeSettings,
        *,
        clock: Clock,
        ids: IdSource,
        rand: Rand,
        metrics: Metrics,
        mail_log: MailLog,
        wakeup: Doorbell,
        handoff: Handoff | None = None,
        templates: TemplateRenderer | None = None,
        quotas: QuotaLedger | None = None,
    ) -> None:
        self._store = store
        self._hostname = settings.hostname
        self._clock = clock
        self._metrics = metrics
        self._quotas = quotas
        self._idempotency = Idempotency(store, clock)
        self._directory = directory
        self._obeyer = Obeyer(store, directory, templates, hostname=settings.hostname, clock=clock, rand=rand)
        self._assembler = Assembler(hostname=settings.hostname, hide_client_address=settings.hide_client_address, next_number=ids.next)
        self._committer = Committer(
            store, self._idempotency, clock=clock, metrics=metrics, mail_log=mail_log, wakeup=wakeup, handoff=handoff, quotas=quotas
        )

    async def accept(self, submission: Submission) -> Receipt | Refusal:
        """Stores a message durably and returns its receipt, or returns the refusal and stores nothing."""
        prepared = await self.prepare(submission)
        if isinstance(prepared, Refusal):
            return prepared
        if prepared.idempotency_key is not None:
            return await self._accept_once(submission, prepared, prepared.idempotency_key)
        refusal = await self._committer.commit([prepared])
        return refusal or Receipt(prepared.public_id)

    async def prepare(self, submission: Submission, *, message_id: MessageId | None = None) -> Prepared | Refusal:
        """Steps 1 to 4. `message_id` is the id of a scheduled message that this one replaces."""
        prepared = await self._prepare(submission, message_id)
        if isinstance(prepared, Refusal):
            self._metrics.refused.labels(prepared.key.value).inc()
            self._committer.log_refusal(prepared, key_id_of(submission.actor), submission.origin, len(submission.recipients))
        return prepared

    async def _prepare(self, submission: Submission, message_id: MessageId | None) -> Prepared | Refusal:
        try:
            read = await self._read(submission)
            if isinstance(read, Refusal):
                return read
            admitted = await self._admit(read, is_new=message_id is None)
            if isinstance(admitted, Refusal):
                return admitted
            obeyed = await self._obeyer.obey(admitted)
            if isinstance(obeyed, Refusal):
                return obeyed
            return self._assembler.assemble(obeyed, message_id, self._clock.now())
        except MalformedMessage as error:
            return Refusal(RefusalKey.MALFORMED_MESSAGE, error.reason)
        except StoreError as error:
            return unstored(error)

    async def _read(self, submission: Submission) -> Read | Refusal:
        """Step 1: reads the header block, and refuses malformed messages. Raises `MalformedMessage`."""
        content = without_mbox_line(submission.content)
        if content is not submission.content:
            bare_lf, cut = submission.first_bare_lf, len(submission.content) - len(content)
            submission = replace(submission, content=content, first_bare_lf=None if bare_lf is None else bare_lf - cut)
        if len(content) <= LARGE_HEADER or content.find(b"\r\n\r\n", 0, LARGE_HEADER) >= 0:
            parsed = parse_message(content, submission.first_bare_lf, hostname=self._hostname)
        else:
            parsed = await offload.in_thread(parse_message, content, submission.first_bare_lf, hostname=self._hostname)
        return parsed if isinstance(parsed, Refusal) else Read(submission, parsed)

    async def _admit(self, read: Read, *, is_new: bool) -> Admitted | Refusal:
        """Step 2: whether this actor may send as this author, and as the domains of Sender and Resent fields; and the way out of the author's
        domain. A change of a scheduled message leaves its way as it was. Raises `StoreError`.
        """
        submission, parsed = read.submission, read.parsed
        actor, name = submission.actor, parsed.author.domain
        if actor.mode is KeyMode.TEST:
            return Admitted(submission, parsed, None, KeyMode.TEST)
        covering = self._directory.known_domains(actor.account_id, name)
        if covering is None:
            covering = await self._directory.covering_domains(actor.account_id, name)
        way = STRAIGHT if submission.options.is_straight else way_out(name, covering)
        if way.kind is WayKind.CAPTURE and is_new:
            return Admitted(submission, parsed, None, KeyMode.TEST)
        refusal = await self._check_reverse_path(submission, name)
        if refusal is not None:
            return refusal
        for name in parsed.responsible_domains:
            other = admit_author(actor, name, await self._directory.covering_domains(actor.account_id, name))
            if isinstance(other, Refusal):
                return other
        domain = admit_author(actor, name, covering)
        return domain if isinstance(domain, Refusal) else Admitted(submission, parsed, domain, KeyMode.LIVE, way)

    async def _check_reverse_path(self, submission: Submission, author_domain: str) -> Refusal | None:
        """Whether mail that leaves may have the reverse-path, which MAIL lets pass for domains whose mail is captured. Raises `StoreError`."""
        name = submission.reverse_path.rpartition("@")[2]
        if not name or name == author_domain:  # then the author's domain decides
            return None
        covering = await self._directory.covering_domains(submission.actor.account_id, name)
        return admit_reverse_path_of_live_mail(submission.actor, name, covering)

    async def send_once(self, asked: Asked | None, make: Callable[[], Awaitable[Made | Refusal]]) -> Answered | Refusal:
        """Makes messages and commits them with the answer to their request; once for each idempotency key."""

        async def send() -> Answered | Refusal:
            made = await make()
            if isinstance(made, Refusal):
                return made
            prepared, body = made
            answer = None if asked is None else self._idempotency.make_answer(asked, body)
            if prepared or answer is not None:
                refusal = await self._committer.commit(prepared, answer)
                if refusal is not None:
                    return refusal
            return Answered(body)

        if asked is None:
            return await send()
        try:
            return await self._idempotency.once(asked, send)
        except StoreError as error:
            return unstored(error)

    async def _accept_once(self, submission: Submission, prepared: Prepared, key: str) -> Receipt | Refusal:
        """Accepts a message whose control header has an idempotency key."""
        digest = await offload.compute(len(submission.content), fingerprint, submission)

        async def make() -> Made:
            return [prepared], prepared.public_id.encode("ascii")

        answered = await self.send_once(Asked(submission.actor.account_id, answer_name(submission.actor.mode, key), digest), make)
        if not isinstance(answered, Refusal):
            return Receipt(answered.body.decode("ascii"))
        if answered.key is RefusalKey.IDEMPOTENCY_CONFLICT:  # other refusals are logged where they are made
            self._committer.log_refusal(answered, key_id_of(submission.actor), submission.origin, len(submission.recipients))
        return answered

    async def amend(self, prepared: Prepared, *, made_from: bytes | None = None) -> Refusal | None:
        """Replaces the scheduled message with the same id: see `Committer.amend`."""
        return await self._committer.amend(prepared, made_from=made_from)

    def check_room(self, size: int) -> None:
        """Raises `StoreFull` if the disk has no room for a message of this size, so that the client need not send it."""
        self._store.check_room(size)

    def quota_resets_in(self, refusal: Refusal) -> int:
        """Whole seconds until the used-up quota starts again."""
        return self._quotas.retry_after(refusal) if self._quotas is not None else 1
