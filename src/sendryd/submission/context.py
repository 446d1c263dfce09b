"""What the sessions of a listener work with."""

from dataclasses import dataclass
from pathlib import Path

from sendryd.accounts.smtp_sessions import SmtpSessions
from sendryd.intake.accept import Intake
from sendryd.intake.directory import Directory
from sendryd.policy.penalty import FailureLog
from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.clock import Clock
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.tls import ServerCertificate
from sendryd.smtp.server import ServerLimits
from sendryd.submission.blocklist import Blocklist
from sendryd.submission.refusals import RefusalBook


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What all sessions of a listener share."""

    hostname: str
    limits: ServerLimits
    certificate: ServerCertificate
    intake: Intake
    directory: Directory
    failures: FailureLog
    budget: ContentBudget
    scratch_dir: Path  # where large contents are while they come in
    metrics: Metrics
    mail_log: MailLog
    refusals: RefusalBook
    blocklist: Blocklist
    sessions: SmtpSessions
    clock: Clock
