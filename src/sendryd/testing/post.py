"""The delivery worker with two receiving servers of one domain, over real sockets, for tests."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

from sendryd.delivery.contents import ROOM_TIMEOUT, Contents
from sendryd.delivery.denials import Denials
from sendryd.delivery.destinations import Destinations
from sendryd.delivery.egress import Egress
from sendryd.delivery.grouping import group_claims
from sendryd.delivery.patience import Patience
from sendryd.delivery.pool import ConnectionPool
from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.signer import CHECK_INTERVAL, Signer
from sendryd.delivery.tls_results import TlsResults
from sendryd.delivery.transcript import Tracer
from sendryd.delivery.transport import Connection
from sendryd.delivery.worker import Worker, WorkerContext, WorkerSettings
from sendryd.intake.personal import Personaliser
from sendryd.message.dkim import generate_key
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import DomainId
from sendryd.policy.egress import Pools
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import MxRecord
from sendryd.policy.throttle import Signal
from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.resolver import DnsResolver
from sendryd.runtime.tls import client_context, weak_client_context
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS
from sendryd.store.base import Claim, EventFilter
from sendryd.store.memory import MemoryStore
from sendryd.store.memory.dialogues import MemoryDialogues
from sendryd.testing.mailhost import ReceivingServer
from sendryd.testing.samples import ACCOUNT, Samples

TIMEOUT = 1.0  # seconds for every step, for servers that say nothing; the others have to answer in it on a busy machine
FIRST, SECOND = "127.0.0.1", "127.0.0.2"


@cache
def signing_key() -> tuple[bytes, str]:
    """A private key in PEM, and the public key of a DKIM record; shared by all tests of a process, because making one is slow."""
    return generate_key()


class TwoHosts:
    """A resolver that knows one domain."""

    async def mx(self, domain: str) -> tuple[MxRecord, ...]:
        return MxRecord(10, f"one.{domain}"), MxRecord(20, f"two.{domain}")

    async def addresses(self, host: str) -> tuple[str, ...]:
        return (FIRST,) if host.startswith("one.") else (SECOND,)

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        del fresh
        raise LookupFailed(f"the name {name} does not exist", is_temporary=False)


class Post:
    """A worker, its store, and the two servers."""

    def __init__(
        self,
        resolver: DnsResolver | None = None,
        *,
        allow_private: bool = True,
        timeout: float = TIMEOUT,
        patience: Callable[[], Patience] = Patience,
        room_timeout: float = ROOM_TIMEOUT,
        check_interval: float = CHECK_INTERVAL,
        pools: Pools | None = None,
    ) -> None:
        """`timeout` is for every step, `patience` for all hosts of an attempt, `room_timeout` for memory; `check_interval` is the signer's."""
        self.room_timeout, self.check_interval = room_timeout, check_interval
        self.resolver, self.allow_private, self.timeout, self.patience = resolver or TwoHosts(), allow_private, timeout, patience
        self.clock, self.rand = SystemClock(), SeededRand(1)
        self.store, self.samples = MemoryStore(), Samples(self.clock.now())
        self.egress = Egress(pools or {}, self.store, self.clock)
        self.first, self.second = ReceivingServer(host=FIRST), ReceivingServer(host=SECOND)

    async def open(self) -> None:
        await self._listen()
        new = self.samples.domain()
        await self.store.add_domain(replace(new, domain=replace(new.domain, id=DomainId(1)), private_key=signing_key()[0]))
        self.signer = Signer(self.store, self.clock, check_interval=self.check_interval)
        self.budget = ContentBudget()
        plan = RetryPlan((timedelta(minutes=1),), timedelta(hours=72))
        self.denials = Denials(self.clock)
        self.destinations = Destinations(
            self.resolver,
            self.denials,
            hostname="relay.test",
            mx_port=self.first.port,
            smart_host=None,
            plan=plan,
            clock=self.clock,
            rand=self.rand,
        )
        self.pool: ConnectionPool[Connection] = ConnectionPool(self.clock)
        self.tracer = Tracer(self.store, self.clock)
        self.dialogues = MemoryDialogues()
        self.tls_results = TlsResults(self.store, self.clock)
        self.worker = self._make_worker(plan)

    def _make_worker(self, plan: RetryPlan) -> Worker:
        context = WorkerContext(
            store=self.store,
            contents=Contents(
                self.store,
                Personaliser("http://localhost", b"s" * 43),
                self.signer,
                self.budget,
                Path(tempfile.gettempdir()),
                room_timeout=self.room_timeout,
            ),
            destinations=self.destinations,
            pool=self.pool,
            contexts=TlsContexts(
                verified=partial(client_context, verify=True), unverified=client_context(verify=False), weak=weak_client_context()
            ),
            signer=self.signer,
            clock=self.clock,
            rand=self.rand,
            ids=IdSource(self.clock, self.rand),
            mail_log=MailLog(self.clock),
            tracer=self.tracer,
            dialogues=self.dialogues,
            egress=self.egress,
            tls_results=self.tls_results,
        )
        settings = WorkerSettings(
            hostname="relay.test",
            allow_private_networks=self.allow_private,
            retry_plan=plan,
            timeouts=dict.fromkeys(CLIENT_TIMEOUTS, self.timeout),
            patience=self.patience,
            record_backoff=(0.001,),
        )
        return Worker(context, settings)

    async def _listen(self) -> None:
        """Both servers, on one port: another program may have that of the first at the second's address."""
        while True:
            await self.first.start()
            self.second.port = self.first.port
            try:
                await self.second.start()
            except OSError:
                await self.first.aclose()
                self.first.port = 0
            else:
                return

    async def aclose(self) -> None:
        await self.pool.aclose()
        self.signer.close()
        await self.first.aclose()
        await self.second.aclose()

    async def claim(
        self, *recipients: str, content: bytes = b"From: a@example.test\r\n\r\nbody\r\n", does_track: bool = False
    ) -> Sequence[Claim]:
        """Stores a due message and claims it."""
        new = self.samples.message(recipients or ("user@two.test",), created_at=self.clock.now(), content=content)
        await self.store.accept(replace(new, message=replace(new.message, track_opens=does_track)))
        return await self.claim_due()

    async def claim_due(self) -> Sequence[Claim]:
        """Claims all due deliveries."""
        lease = self.samples.lease()
        claims = await self.store.claim_deliveries(now=self.clock.now(), lease=lease, limit=1000, busy=frozenset(), per_domain=1000)
        return group_claims(claims, is_one_hop=False)

    async def send(self, *recipients: str, content: bytes = b"From: a@example.test\r\n\r\nbody\r\n") -> Signal:
        """One attempt."""
        (claim,) = await self.claim(*recipients, content=content)
        return await self.deliver(claim, content)

    async def deliver(self, claim: Claim, content: bytes | None) -> Signal:
        """Makes one attempt of a claim and records its outcome."""
        route = await self.destinations.find(claim.domain)
        attempt = await self.worker.attempt(claim, content, route)
        await self.worker.record(attempt)
        return attempt.signal

    async def last_event(self) -> dict[str, object]:
        page = await self.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE), limit=1)
        return {"type": page.items[0].type.value, **page.items[0].metadata}

    @property
    def taken(self) -> tuple[int, int]:
        """Number of messages that each server has accepted."""
        return len(self.first.mails), len(self.second.mails)
