"""Hosts that did TLS and requests for probes, in memory."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from sendryd.model.lane import LaneSnapshot, LimitCause, LimitChange
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.tlsrpt import TlsResult
from sendryd.store.base import ENDED_KEPT, MAX_LIMIT_CHANGES, LimitedDestination, PausedDestination, StoredStsPolicy
from sendryd.store.codec.lanes import limit_row


class MemoryNextHops:
    """`NextHopStore` without a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._effects: list[Effect] = []
        self._ended: dict[tuple[str, str], datetime] = {}
        self._tls_hosts: dict[str, datetime] = {}
        self._sts_policies: dict[str, StoredStsPolicy] = {}
        self._tls_results: dict[tuple[date, TlsResult], int] = {}
        self._probes: set[str] = set()
        self._paused: dict[str, PausedDestination] = {}
        self._limits: dict[str, LimitedDestination] = {}
        self._lanes: dict[str, LaneSnapshot] = {}
        self._changes: dict[str, list[LimitChange]] = {}

    async def note_tls_hosts(self, worked: Mapping[str, datetime], *, keep_since: datetime, most: int) -> None:
        for host, moment in worked.items():
            self._tls_hosts[host] = max(moment, self._tls_hosts.get(host, moment))
        latest = [each for each in await self.list_tls_hosts() if each[1] >= keep_since]
        self._tls_hosts = dict(latest[-most:])

    async def list_tls_hosts(self) -> list[tuple[str, datetime]]:
        return sorted(self._tls_hosts.items(), key=lambda each: each[1])

    async def put_sts_policy(self, found: StoredStsPolicy, *, now: datetime, most: int) -> None:
        self._sts_policies[found.domain] = found
        kept = [each for each in await self.list_sts_policies() if each.fetched_at + timedelta(seconds=each.policy.max_age) > now]
        self._sts_policies = {each.domain: each for each in kept[-most:]}

    async def list_sts_policies(self) -> list[StoredStsPolicy]:
        return sorted(self._sts_policies.values(), key=lambda each: each.fetched_at)

    async def add_tls_results(self, counted: Sequence[tuple[date, TlsResult, int]], *, most: int) -> None:
        for day, result, number in counted:
            if (day, result) in self._tls_results or len(self._tls_results) < most:
                self._tls_results[day, result] = self._tls_results.get((day, result), 0) + number

    async def list_tls_days(self, *, before: date) -> list[tuple[date, str]]:
        return sorted({(day, result.domain) for day, result in self._tls_results if day < before})

    async def find_tls_results(self, day: date, domain: str) -> list[tuple[TlsResult, int]]:
        return [(result, number) for (each, result), number in self._tls_results.items() if (each, result.domain) == (day, domain)]

    async def remove_tls_results(self, day: date, domain: str) -> None:
        self._tls_results = {key: number for key, number in self._tls_results.items() if (key[0], key[1].domain) != (day, domain)}

    async def list_probes(self) -> list[str]:
        return sorted(self._probes)

    async def clear_probes(self, domains: Sequence[str]) -> None:
        self._probes.difference_update(domains)

    async def pause_destination(self, domain: str, *, by: str, now: datetime, until: datetime | None = None, reason: str = "") -> bool:
        is_new = domain not in self._paused
        self._paused.setdefault(domain, PausedDestination(domain=domain, by=by, since=now, until=until, reason=reason))
        return is_new

    async def resume_destination(self, domain: str) -> bool:
        self._probes.add(domain)
        return self._paused.pop(domain, None) is not None

    async def list_paused_destinations(self) -> list[PausedDestination]:
        return [each for _, each in sorted(self._paused.items())]

    async def limit_destination(self, limit: LimitedDestination) -> None:
        self._limits[limit.domain] = limit

    async def lift_limit(self, domain: str) -> bool:
        return self._limits.pop(domain, None) is not None

    async def list_limited_destinations(self) -> list[LimitedDestination]:
        return [each for _, each in sorted(self._limits.items())]

    async def end_pauses_and_limits(self, now: datetime) -> None:
        for paused in [each for each in self._paused.values() if each.is_over(now)]:
            await self.resume_destination(paused.domain)
        self._limits = {name: each for name, each in self._limits.items() if not each.is_over(now)}

    async def list_limit_changes(self, next_hop: str, *, limit: int) -> list[LimitChange]:
        return self._changes.get(next_hop, [])[:limit]

    async def put_lanes(self, lanes: Sequence[LaneSnapshot], *, keep_since: datetime, most: int) -> None:
        self._lanes |= {each.next_hop: each for each in lanes}
        for each in lanes:
            row, changes = limit_row(each), self._changes.setdefault(each.next_hop, [])
            change = LimitChange(at=each.at, sessions=row["sessions"], cause=LimitCause(row["cause"]))
            if not changes or (changes[0].sessions, changes[0].cause) != (change.sessions, change.cause):
                self._changes[each.next_hop] = [change, *(old for old in changes if old.at != each.at)][:MAX_LIMIT_CHANGES]
        latest = sorted(self._lanes.values(), key=lambda lane: lane.at)[-most:]
        self._lanes = {each.next_hop: each for each in latest if each.at >= keep_since}
        self._changes = {name: each for name, each in self._changes.items() if name in self._lanes}

    async def find_lanes(self, next_hops: Sequence[str]) -> list[LaneSnapshot]:
        return [self._lanes[name] for name in sorted(set(next_hops)) if name in self._lanes]

    async def list_lanes(self, *, since: datetime, limit: int) -> list[LaneSnapshot]:
        found = [each for each in self._lanes.values() if each.at >= since]
        return sorted(found, key=lambda lane: lane.at, reverse=True)[:limit]

    async def put_shaping_effects(self, effects: Sequence[Effect]) -> None:
        self._effects = sorted(effects, key=lambda each: (each.site, each.rule))

    async def list_shaping_effects(self) -> list[Effect]:
        return list(self._effects)

    async def end_shaping_effect(self, site: str, rule: str, now: datetime) -> bool:
        left = [each for each in self._effects if (each.site, each.rule) != (site, rule)]
        if len(left) == len(self._effects):
            return False
        self._effects = left
        kept = {key: moment for key, moment in self._ended.items() if moment >= now - ENDED_KEPT}
        self._ended = dict(sorted({**kept, (site, rule): now}.items()))
        return True

    async def list_ended_effects(self) -> dict[tuple[str, str], datetime]:
        return dict(self._ended)

    async def list_stirring_lanes(self) -> list[LaneSnapshot]:
        return [each for _, each in sorted(self._lanes.items()) if each.sending or each.suspended_until is not None]
