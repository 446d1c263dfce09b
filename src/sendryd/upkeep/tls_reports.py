"""Sends TLS reports: how sessions with a domain's mail servers went on a day, to those whom the domain's DNS names (TLS-RPT).

Does: once a day is over, makes a report for each domain that asks for one, and sends it by mail through the door, or by HTTPS.
Reads: stored results, the TXT record at `_smtp._tls`. Writes: messages, through the door. Deletes the results that it has reported.
When things fail: DNS or a receiver that fails is tried again in each round until the results are two days old. A stored answer under the day, the
domain and the address prevents a second mail; by HTTPS a report may come twice after a restart.
Limits: one report at a time; three addresses for each. Standards: RFC 8460.
"""

import gzip
import hashlib
from datetime import date, timedelta
from typing import Final

from sendryd.intake.accept import Intake, Made
from sendryd.intake.idempotency import Asked
from sendryd.intake.obey import BOUNDARY_LENGTH
from sendryd.intake.submission import Options, Origin, Recipient, Submission
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import parse_mailbox
from sendryd.message.tlsreport import compose_report
from sendryd.model.actor import System
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import AccountId
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.tlsrpt import RECORD_LABEL, make_report, read_destinations
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.log import get_logger
from sendryd.runtime.posting import HttpClient, HttpFault
from sendryd.runtime.rand import Rand
from sendryd.runtime.resolver import DnsResolver
from sendryd.store.base import Store
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 3600.0  # seconds between rounds: reports are read a day later, and not all senders should come at midnight
LOCAL_PART: Final = "tls-reports"
GIVE_UP: Final = timedelta(days=2)  # after the day: older reports help the reader no more
_ORIGIN: Final = Origin(hello="localhost", address="127.0.0.1", tls=None, is_smtputf8=False, is_http=True)
_OPTIONS: Final = Options(track_opens=False, track_clicks=False, is_straight=True)

log = get_logger("upkeep")


class TlsReportKeeper:
    """One round an hour."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        resolver: DnsResolver,
        client: HttpClient,
        *,
        account_id: AccountId,
        hostname: str,
        clock: Clock,
        rand: Rand,
    ) -> None:
        """`account_id` sends the reports; `hostname` is the name of the reporting organization."""
        self._store = store
        self._intake = intake
        self._resolver = resolver
        self._client = client
        self._account_id = account_id
        self._hostname = hostname
        self._clock = clock
        self._rand = rand
        self._posted: set[tuple[date, str, str]] = set()  # reports that HTTPS has taken while another address is open

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(
            self.run_once, self._clock, interval=INTERVAL, failure="tls_reports_not_sent", rand=self._rand, does_pause_first=True
        )

    async def run_once(self) -> None:
        """Sends what is due. Raises `StoreError` if the results cannot be read."""
        today = self._clock.settled().date()
        for day, domain in await self._store.list_tls_days(before=today):
            try:
                is_done = await self._report(day, domain)
            except Exception:  # a failing report must not delay the others
                log.exception("tls_report_not_sent", domain=domain, day=day.isoformat())
                is_done = False
            if is_done or today - day > GIVE_UP:
                await self._store.remove_tls_results(day, domain)
                self._posted = {each for each in self._posted if each[:2] != (day, domain)}

    async def _report(self, day: date, domain: str) -> bool:
        """Whether nothing is left to do for the day and the domain."""
        try:
            addresses = read_destinations(await self._resolver.txt(f"{RECORD_LABEL}.{domain}"))
        except LookupFailed as error:
            return not error.is_temporary
        if not addresses:
            return True
        sender = await self._sender()
        if sender is None:
            log.warning("tls_report_not_sent", domain=domain, reason="no domain is verified that it could come from")
            return False
        counted = await self._store.find_tls_results(day, domain)
        report_id = f"{day.isoformat()}.{domain}@{self._hostname}"
        report = make_report(counted, day=day, organization=self._hostname, contact=sender, report_id=report_id)
        compressed = gzip.compress(report, mtime=0)
        sent = [await self._send(day, domain, each, sender, compressed, report_id) for each in addresses]
        return all(sent)

    async def _sender(self) -> str | None:
        verified = [each for each in await self._store.list_domains(self._account_id) if each.status is DomainStatus.VERIFIED]
        return f"{LOCAL_PART}@{min(verified, key=lambda each: each.id).name}" if verified else None

    async def _send(self, day: date, domain: str, address: str, sender: str, report: bytes, report_id: str) -> bool:
        """Whether an address has the report, or will never take it."""
        if (day, domain, address) in self._posted:
            return True
        if address.lower().startswith("mailto:"):
            return await self._mail(day, domain, address, sender, report, report_id)
        try:
            answer = await self._client.post(address, headers={"Content-Type": "application/tlsrpt+gzip"}, body=report)
        except HttpFault as error:
            log.warning("tls_report_not_sent", domain=domain, reason=str(error))
            return error.is_refused
        if answer.is_success:
            log.info("tls_report_sent", domain=domain, day=day.isoformat())
            self._posted.add((day, domain, address))
        else:
            log.warning("tls_report_not_sent", domain=domain, reason=f"the server answered {answer.status}")
        return answer.is_success

    async def _mail(self, day: date, domain: str, address: str, sender: str, report: bytes, report_id: str) -> bool:
        async def make() -> Made | Refusal:
            try:
                to = parse_mailbox(address[len("mailto:") :])
            except MalformedMessage as error:
                return Refusal(RefusalKey.MALFORMED_MESSAGE, error.reason)
            content = compose_report(
                sender=sender,
                to=to.address,
                domain=domain,
                submitter=self._hostname,
                report_id=report_id,
                name=f"{self._hostname}!{domain}!{day.isoformat()}.json.gz",
                report=report,
                boundary=self._rand.secret(BOUNDARY_LENGTH),
            )
            prepared = await self._intake.prepare(
                Submission(
                    actor=System(self._account_id),
                    reverse_path=sender,
                    recipients=(Recipient(to.address, to.domain, is_ascii=to.is_ascii),),
                    content=content,
                    origin=_ORIGIN,
                    options=_OPTIONS,
                )
            )
            return prepared if isinstance(prepared, Refusal) else ([prepared], prepared.public_id.encode("ascii"))

        once = f"tls-report {day.isoformat()} {domain} {address}"
        result = await self._intake.send_once(Asked(self._account_id, once, hashlib.sha256(once.encode()).digest()), make)
        if isinstance(result, Refusal):
            log.warning("tls_report_not_sent", domain=domain, reason=result.sentence)
            return result.key not in {RefusalKey.TEMPORARILY_UNAVAILABLE, RefusalKey.STORAGE_FULL, RefusalKey.QUOTA_REACHED}
        log.info("tls_report_sent", domain=domain, day=day.isoformat())
        return True
