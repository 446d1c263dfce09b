"""Judgements on what is stored: contents, waiting mail, sending domains."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from sendryd.model.domain import DomainStatus, RecordPurpose, SendingDomain
from sendryd.policy.dnsrecords import advise, has_no_answer
from sendryd.policy.explain.words import count, span
from sendryd.policy.health.finding import Check, Finding, advised, right, unknown, wrong
from sendryd.policy.inboundrecords import OF_INBOUND

OLD_MAIL: Final = timedelta(hours=4)  # greylisting and short outages are over by then


def judge_data(folder: str, *, exists: bool, fault: str = "") -> Finding:
    """Whether the database can be used. `fault`: why it cannot; empty if it can."""
    if not exists:
        fix = "Start the program once: sendryd serve. If the installation is elsewhere, set SENDRYD_DATA_DIR."
        return wrong(Check.DATA, f"There is no database in {folder}.", fix)
    if fault:
        return wrong(Check.DATA, f"The database in {folder} cannot be used: {fault}.", "Mend this, or restore the directory from a backup.")
    return right(Check.DATA, f"The database in {folder} can be read and written.")


def judge_spool(messages: int, lost: int, affected: int, unknown_files: int) -> Finding:
    """Whether the contents of messages are there. `lost`: files missing, foreign or cut short; `affected`: the messages in them."""
    if lost:
        what = f"{count(lost, 'file', 'files')} with {count(affected, 'message', 'messages')}"
        return wrong(
            Check.SPOOL,
            f"The spool lacks {what}: they are held when their turn comes.",
            "Restore these files from the backup that belongs to the database; the log of the last start names them.",
        )
    if unknown_files:
        return advised(
            Check.SPOOL,
            f"The spool has {count(unknown_files, 'file', 'files')} that the database does not know.",
            "If that is not wanted, restore the database that belongs to them; they are not touched.",
        )
    return right(
        Check.SPOOL, f"The spool has the contents of all {messages:,} messages." if messages else "The spool is empty, as it should be."
    )


def judge_queue(waiting: int, oldest: timedelta | None, held: int) -> Finding:
    """Whether mail leaves. `oldest`: how long the oldest mail has been due or tried in vain."""
    if oldest is not None and oldest > OLD_MAIL:
        return wrong(
            Check.QUEUE,
            f"{count(waiting, 'delivery waits', 'deliveries wait')}, the oldest for {span(oldest)}.",
            "sendryd queue list shows them; sendryd queue show ID says why.",
        )
    if held:
        return advised(
            Check.QUEUE,
            f"{count(held, 'delivery is', 'deliveries are')} held.",
            "sendryd queue list --state held shows them; release or cancel them.",
        )
    return right(Check.QUEUE, f"{count(waiting, 'delivery waits', 'deliveries wait')}." if waiting else "No mail waits.")


def judge_no_domain() -> Finding:
    """There is no sending domain yet."""
    return advised(Check.DOMAIN, "No sending domain is added: only test keys can send.", "sendryd domains add NAME")


def judge_domain(domain: SendingDomain, found: Mapping[RecordPurpose, Sequence[str]]) -> list[Finding]:
    """What is missing in the DNS of a sending domain. `found`: the published records that bear on each purpose."""
    findings = []
    for record in domain.records:
        if not record.reason or record.purpose in OF_INBOUND:
            continue
        sentence = f"{domain.name}, {record.purpose.value.replace('_', ' ').upper()}: {record.reason.partition(': ')[0].rstrip('.')}."
        judge = unknown if has_no_answer(record) else wrong if record.is_required else advised
        findings.append(judge(Check.DOMAIN, sentence, advise(record, found.get(record.purpose, ())), domain.name))
    if domain.status is not DomainStatus.VERIFIED and not findings:
        return [wrong(Check.DOMAIN, f"{domain.name} is not verified.", f"sendryd domains verify {domain.name}", domain.name)]
    return findings or [right(Check.DOMAIN, f"{domain.name} is verified.", domain.name)]
