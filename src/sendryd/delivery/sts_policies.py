"""MTA-STS policies of recipient domains: found, kept, obeyed until they expire, fetched again before that.

Does: says which policy a domain has now. Reads: the TXT record at `_mta-sts`, the policy host over HTTPS, the stored policies at the start.
Writes: each policy that was fetched.
Strategy: a domain without a kept policy waits for its record and its policy, `WAIT` at the most; the fetch goes on after that. With a kept policy
mail waits only for a record that names another one, and no longer than `KEPT_WAIT`. What is kept is fetched again in the background, once half
of its time or a day has passed, for domains that got mail lately.
When things fail: a kept policy is obeyed until it expires, whatever became of record and host; without one, mail goes out as if there were none
(RFC 8461 §3.3), and the next try is `PAUSE` later. A policy that could not be stored is obeyed until the program ends.
Limits: `MAX_POLICIES`; each fetch has seconds and octets of its own, and holds no place of an attempt. Standards: RFC 8461.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from sendryd.policy.mtasts import HOST_LABEL, MAX_POLICY, RECORD_LABEL, WELL_KNOWN_PATH, PolicyInvalid, StsPolicy, read_policy, read_record
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.log import get_logger
from sendryd.runtime.posting import HttpFault, HttpFetcher
from sendryd.runtime.resolver import DnsResolver
from sendryd.store.base import NextHopStore, StoredStsPolicy
from sendryd.store.errors import StoreError

FETCH_TIMEOUT: Final = 30.0  # seconds for one policy; RFC 8461 §3.3 suggests a minute, but hosts that answer at all answer within seconds
WAIT: Final = 10.0  # seconds for which the first mail to a domain waits for its policy
KEPT_WAIT: Final = 2.0  # seconds for which mail waits for a newer policy than the kept one
PAUSE: Final = 300.0  # seconds between tries for one domain after a failure (RFC 8461 §3.3)
REFRESH_INTERVAL: Final = 900.0  # seconds between looks for policies that are to be fetched again
REFRESH_AGE: Final = 86_400.0  # seconds after which a policy is fetched again (RFC 8461 §3.3), or half of its time
USED_LATELY: Final = 7 * 86_400.0  # seconds since the last mail for which a policy is fetched again
REFRESHES: Final = 8  # at once
MIN_AGE: Final = 5.0  # seconds for which a policy is obeyed at least: as long as a route is kept
MAX_POLICIES: Final = 50_000
MAX_FAILURES: Final = 10_000  # domains whose last failure is remembered

log = get_logger("delivery")


@dataclass(slots=True)
class _Kept:
    """A policy. Moments are monotonic seconds."""

    record_id: str
    policy: StsPolicy
    fetched: float
    used: float

    def is_over(self, now: float) -> bool:
        return now >= self.fetched + max(MIN_AGE, self.policy.max_age)

    def is_due(self, now: float) -> bool:
        """It is to be fetched again."""
        return now >= self.fetched + min(REFRESH_AGE, self.policy.max_age / 2)


class StsPolicies:
    """The policies of one process."""

    def __init__(self, resolver: DnsResolver, fetcher: HttpFetcher, store: NextHopStore, clock: Clock, *, port: int) -> None:
        """`port` is that of policy hosts."""
        self._resolver = resolver
        self._fetcher = fetcher
        self._store = store
        self._clock = clock
        self._port = "" if port == 443 else f":{port}"
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._failed: OrderedDict[str, float] = OrderedDict()  # until when a domain is not asked again, in monotonic seconds
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<StsPolicies {len(self._kept)} kept, {len(self._fetches)} being fetched>"

    def statistics(self) -> dict[str, float]:
        """For /metrics."""
        return {"kept": len(self._kept), "open": len(self._fetches)}

    async def load(self) -> None:
        """Reads the stored policies, also those that other processes have found."""
        try:
            found = await self._store.list_sts_policies()
        except StoreError as error:
            log.error("sts_policies_not_read", error=repr(error))
            return
        now, settled = self._clock.monotonic(), self._clock.settled()
        for each in found:
            fetched = now - max(0.0, (settled - each.fetched_at).total_seconds())
            known = self._kept.get(each.domain)
            if known is None or known.fetched < fetched:
                self._kept[each.domain] = _Kept(each.record_id, each.policy, fetched, now)

    async def find(self, domain: str) -> StsPolicy | None:
        """The policy that mail to a domain obeys now; None: it has none. Raises nothing but cancellation."""
        now = self._clock.monotonic()
        kept = self._current(domain, now)
        if self._failed.get(domain, 0.0) <= now:
            check = self._begin(self._checks, domain, self._check)
            await asyncio.wait({check}, timeout=WAIT if kept is None else KEPT_WAIT)
            kept = self._current(domain, self._clock.monotonic())
        if kept is None:
            return None
        kept.used = now
        return kept.policy

    async def run(self) -> None:
        """Fetches again what is due, until cancelled."""
        while True:
            await self._clock.sleep(REFRESH_INTERVAL)
            await self.refresh()

    async def refresh(self) -> None:
        """Fetches the policies that are due."""
        now = self._clock.monotonic()
        for domain in [domain for domain, kept in self._kept.items() if kept.is_over(now)]:
            del self._kept[domain]
        due = [domain for domain, kept in self._kept.items() if kept.is_due(now) and now - kept.used < USED_LATELY]
        for start in range(0, len(due), REFRESHES):
            checks = [self._begin(self._checks, domain, self._check) for domain in due[start : start + REFRESHES]]
            await asyncio.wait(checks)
            if fetches := list(self._fetches.values()):
                await asyncio.wait(fetches)

    async def aclose(self) -> None:
        """Ends what is under way."""
        tasks = [*self._checks.values(), *self._fetches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _current(self, domain: str, now: float) -> _Kept | None:
        kept = self._kept.get(domain)
        return kept if kept is not None and not kept.is_over(now) else None

    def _begin(
        self, tasks: dict[str, asyncio.Task[None]], domain: str, work: Callable[[str], Coroutine[None, None, None]]
    ) -> asyncio.Task[None]:
        """The task of a domain, begun unless it is under way."""
        task = tasks.get(domain)
        if task is None:
            task = tasks[domain] = asyncio.get_running_loop().create_task(work(domain))
            task.add_done_callback(lambda _: tasks.pop(domain, None))
        return task

    async def _check(self, domain: str) -> None:
        """Reads the record; waits for the policy if there is none, or another one."""
        try:
            record_id = read_record(await self._resolver.txt(f"{RECORD_LABEL}.{domain}"))
        except LookupFailed as error:
            if error.is_temporary:
                self._note_failure(domain)
            record_id = None
        except Exception:
            log.exception("sts_record_not_read", domain=domain)
            return
        now = self._clock.monotonic()
        kept = self._current(domain, now)
        if record_id is None and kept is None:
            return
        is_new = record_id is not None and (kept is None or kept.record_id != record_id)
        if is_new or (kept is not None and kept.is_due(now)):
            fetch = self._begin(self._fetches, domain, lambda name: self._fetch(name, record_id or (kept.record_id if kept else "")))
            if is_new:
                await asyncio.wait({fetch})

    async def _fetch(self, domain: str, record_id: str) -> None:
        """Fetches the policy, and keeps it."""
        url = f"https://{HOST_LABEL}.{domain}{self._port}{WELL_KNOWN_PATH}"
        try:
            policy = read_policy(await self._fetcher.fetch(url, max_size=MAX_POLICY, accept="text/plain"))
        except (HttpFault, PolicyInvalid) as error:
            self._note_failure(domain)
            log.warning("sts_policy_not_fetched", domain=domain, error=str(error))
            return
        except Exception:
            self._note_failure(domain)
            log.exception("sts_policy_not_fetched", domain=domain)
            return
        now = self._clock.monotonic()
        last = self._kept.get(domain)
        self._kept[domain] = _Kept(record_id, policy, now, last.used if last is not None else now)
        self._kept.move_to_end(domain)
        if len(self._kept) > MAX_POLICIES:
            self._kept.popitem(last=False)
        log.info("sts_policy_fetched", domain=domain, mode=policy.mode.value, record_id=record_id, max_age=policy.max_age)
        await self._keep(StoredStsPolicy(domain=domain, record_id=record_id, policy=policy, fetched_at=self._clock.settled()))

    async def _keep(self, found: StoredStsPolicy) -> None:
        try:
            await self._store.put_sts_policy(found, now=found.fetched_at, most=MAX_POLICIES)
        except StoreError as error:
            log.error("sts_policy_not_stored", domain=found.domain, error=repr(error))

    def _note_failure(self, domain: str) -> None:
        self._failed[domain] = self._clock.monotonic() + PAUSE
        self._failed.move_to_end(domain)
        if len(self._failed) > MAX_FAILURES:
            self._failed.popitem(last=False)
