"""`intake` over an in-memory store with one verified domain: for tests of `intake` and of submission sessions."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from sendryd.accounts.smtp_sessions import SmtpSessions
from sendryd.intake.accept import Intake, IntakeSettings
from sendryd.intake.directory import Directory
from sendryd.intake.handoff import Handoff
from sendryd.intake.quota import Quota, Quotas
from sendryd.intake.submission import Origin, Recipient, Submission
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.domain import DomainStatus
from sendryd.policy.credentials import hash_key
from sendryd.policy.penalty import FailureLog
from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.clock import Clock, SystemClock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.stream import TlsInfo
from sendryd.runtime.tls import ServerCertificate
from sendryd.runtime.wakeup import Wakeup
from sendryd.smtp.server import ServerLimits
from sendryd.store.base import AcceptStore, AccountStore, DomainCheck, NewMessage, RefusalStore
from sendryd.store.errors import StoreError
from sendryd.store.memory import MemoryStore
from sendryd.submission.blocklist import Blocklist
from sendryd.submission.context import SessionContext
from sendryd.submission.refusals import RefusalBook
from sendryd.testing.samples import ACCOUNT, Samples

LIVE_SECRET = "sn_live_" + "l" * 43
TEST_SECRET = "sn_test_" + "t" * 43
VERIFIED = "example.test"
AUTHOR = f"hello@{VERIFIED}"
CONTENT = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n\r\nbody\r\n".encode()


class NoCertificate:
    """A certificate source for memory streams, whose handshake is pretended."""

    context = None


class FailingStore(MemoryStore):
    """A store that refuses every message."""

    def __init__(self, error: StoreError) -> None:
        super().__init__()
        self.error = error

    async def accept(self, message: NewMessage) -> None:
        """Raises the error that was given to the constructor."""
        del message
        raise self.error


class Door:
    """`intake` with its store, directory and clock."""

    def __init__(
        self,
        *,
        handoff: Handoff | None = None,
        accept_store: AcceptStore | None = None,
        hide_client: bool = False,
        clock: Clock | None = None,
        account_quota: Quota | None = None,
    ) -> None:
        self.store = MemoryStore()
        self.clock = clock or SystemClock()
        self.metrics = Metrics()
        self.mail_log = MailLog(self.clock)
        self.refusals = RefusalBook(self.clock, IdSource(self.clock, SeededRand(3)))
        self.sessions = SmtpSessions(self.clock)
        self.wakeup = Wakeup()
        self.directory = Directory(self.store, self.clock)
        self.keys: dict[str, ApiKey] = {}
        self.intake = Intake(
            accept_store or self.store,
            self.directory,
            IntakeSettings(hostname="relay.test", hide_client_address=hide_client),
            clock=self.clock,
            ids=IdSource(self.clock, SeededRand(1)),
            rand=SeededRand(2),
            metrics=self.metrics,
            mail_log=self.mail_log,
            wakeup=self.wakeup,
            handoff=handoff,
            quotas=Quotas(self.store, self.clock, of_key=None, of_account=account_quota),
        )

    async def open(self) -> "Door":
        """Stores the keys and the domain."""
        await self.fill(self.store)
        return self

    async def fill(self, store: AccountStore) -> None:
        """Stores the same keys and domain in another store."""
        samples, now = Samples(), datetime(2026, 1, 1, tzinfo=UTC)
        for secret, mode in ((LIVE_SECRET, KeyMode.LIVE), (TEST_SECRET, KeyMode.TEST)):
            new = samples.api_key(secret_hash=hash_key(secret), mode=mode)
            await store.add_api_key(new)
            self.keys[secret] = new.key
        domain = samples.domain(VERIFIED)
        await store.add_domain(domain)
        check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
        await store.record_domain_check(domain.domain, check)

    def session_context(self, budget: ContentBudget | None = None) -> SessionContext:
        """The context of sessions on memory streams."""
        return SessionContext(
            hostname="relay.test",
            limits=ServerLimits(),
            certificate=cast("ServerCertificate", NoCertificate()),
            intake=self.intake,
            directory=self.directory,
            failures=FailureLog(),
            budget=budget or ContentBudget(),
            scratch_dir=Path(tempfile.gettempdir()),
            metrics=self.metrics,
            mail_log=self.mail_log,
            refusals=self.refusals,
            blocklist=Blocklist(cast("RefusalStore", self.store), self.clock),
            sessions=self.sessions,
            clock=self.clock,
        )

    def submission(
        self, content: bytes = CONTENT, *, secret: str = LIVE_SECRET, recipients: tuple[str, ...] = ("user@example.org",)
    ) -> Submission:
        """A submission like a session's."""
        return Submission(
            actor=self.keys[secret],
            reverse_path=AUTHOR,
            recipients=tuple(Recipient(each, each.rpartition("@")[2], is_ascii=each.isascii()) for each in recipients),
            content=content,
            is_8bit=not content.isascii(),
            origin=Origin(hello="client.test", address="192.0.2.7", tls=TlsInfo("TLSv1.3", "X"), is_smtputf8=False),
        )


__all__ = ["ACCOUNT", "AUTHOR", "CONTENT", "LIVE_SECRET", "TEST_SECRET", "VERIFIED", "Door", "FailingStore"]
