"""Facts about next hops that outlast a run of the program, and an operator's requests for probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from sendryd.model.lane import LaneSnapshot, LimitChange
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.tlsrpt import TlsResult

MAX_LIMIT_CHANGES: Final = 50  # of a next hop: a window goes from 5 to 20 sessions one by one, and back
ENDED_KEPT: Final = timedelta(days=1)  # an end by hand, until every process that delivers has seen it: each looks once a second


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedDestination:
    """A recipient domain that gets no mail until somebody lets it go on."""

    domain: str
    by: str  # who paused it: a person's name
    since: datetime
    until: datetime | None = None  # None: until somebody lets it go on
    reason: str = ""

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended by itself."""
        return self.until is not None and self.until <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedDestination:
    """A recipient domain with a limit of sessions at once that a person has set."""

    domain: str
    sessions: int
    by: str  # a person's name
    since: datetime
    until: datetime | None = None  # None: until somebody lifts it

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended by itself."""
        return self.until is not None and self.until <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStsPolicy:
    """The MTA-STS policy of a recipient domain, as it was fetched."""

    domain: str
    record_id: str  # of the TXT record that announced it
    policy: StsPolicy
    fetched_at: datetime


class NextHopStore(Protocol):
    """Hosts that did TLS, MTA-STS policies, results of TLS, domains to probe, paused domains, lanes."""

    async def note_tls_hosts(self, worked: Mapping[str, datetime], *, keep_since: datetime, most: int) -> None:
        """Stores when hosts last did TLS. Keeps the latest `most` hosts, and none older than `keep_since`."""
        ...

    async def list_tls_hosts(self) -> list[tuple[str, datetime]]:
        """Hosts that did TLS, and when they last did; the latest come last."""
        ...

    async def put_sts_policy(self, found: StoredStsPolicy, *, now: datetime, most: int) -> None:
        """Stores a policy in place of the domain's last. Keeps the latest `most` policies, and none that has expired."""
        ...

    async def list_sts_policies(self) -> list[StoredStsPolicy]:
        """The stored policies; those that were fetched last come last."""
        ...

    async def add_tls_results(self, counted: Sequence[tuple[date, TlsResult, int]], *, most: int) -> None:
        """Adds to the numbers of sessions of each UTC day. New results beyond `most` stored ones are left out."""
        ...

    async def list_tls_days(self, *, before: date) -> list[tuple[date, str]]:
        """Days before one, and the recipient domains with results on each, the oldest first."""
        ...

    async def find_tls_results(self, day: date, domain: str) -> list[tuple[TlsResult, int]]:
        """The results of a domain on a day, with the numbers of sessions."""
        ...

    async def remove_tls_results(self, day: date, domain: str) -> None:
        """Forgets the results of a domain on a day."""
        ...

    async def list_probes(self) -> list[str]:
        """Domains whose deliveries an operator has retried or released since the last `clear_probes`. Cheap."""
        ...

    async def clear_probes(self, domains: Sequence[str]) -> None:
        """Notes that this process has obeyed the probe requests of these domains. Others of the database see them all the same."""
        ...

    async def pause_destination(self, domain: str, *, by: str, now: datetime, until: datetime | None = None, reason: str = "") -> bool:
        """Stops mail to a domain, until a moment or until it is resumed. Durable. False if it was paused before, which stays as it is."""
        ...

    async def resume_destination(self, domain: str) -> bool:
        """Lets mail to a domain go on, and asks for a probe. Durable. False if it was not paused."""
        ...

    async def list_paused_destinations(self) -> list[PausedDestination]:
        """The paused domains, by name, also those whose pause is over and was not ended yet. Cheap."""
        ...

    async def limit_destination(self, limit: LimitedDestination) -> None:
        """Sets the most sessions at once with a domain, in place of an earlier limit. Durable."""
        ...

    async def lift_limit(self, domain: str) -> bool:
        """Lifts the limit that a person has set. Durable. False if there is none."""
        ...

    async def list_limited_destinations(self) -> list[LimitedDestination]:
        """The domains with such a limit, by name, also those whose limit is over and was not ended yet. Cheap."""
        ...

    async def end_pauses_and_limits(self, now: datetime) -> None:
        """Ends the pauses and limits whose end has come, and asks for probes of the domains that were paused. Durable."""
        ...

    async def list_limit_changes(self, next_hop: str, *, limit: int) -> list[LimitChange]:
        """What the limit of a next hop was, as `put_lanes` noted it, the latest first; the last `MAX_LIMIT_CHANGES` are kept."""
        ...

    async def put_lanes(self, lanes: Sequence[LaneSnapshot], *, keep_since: datetime, most: int) -> None:
        """Stores what is known of next hops, in place of what was stored, and notes limits that have changed. Keeps the latest `most`, and
        none older than `keep_since`.
        """
        ...

    async def find_lanes(self, next_hops: Sequence[str]) -> list[LaneSnapshot]:
        """What is known of these next hops, by name; those of which nothing is known are left out. Cheap."""
        ...

    async def list_lanes(self, *, since: datetime, limit: int) -> list[LaneSnapshot]:
        """What has changed since a moment, the latest first."""
        ...

    async def put_shaping_effects(self, effects: Sequence[Effect]) -> None:
        """Stores what replies have brought to sites, in place of what was stored. Durable."""
        ...

    async def list_shaping_effects(self) -> list[Effect]:
        """What replies have brought to sites, by site and rule, also what has ended since. Cheap."""
        ...

    async def end_shaping_effect(self, site: str, rule: str, now: datetime) -> bool:
        """Ends what replies have brought to a site by a rule: processes that deliver see it in `list_ended_effects`. False if nothing of it is stored.
        Durable.
        """
        ...

    async def list_ended_effects(self) -> dict[tuple[str, str], datetime]:
        """Site and rule of the effects that people have ended, and when: for at least `ENDED_KEPT`. Cheap."""
        ...

    async def list_stirring_lanes(self) -> list[LaneSnapshot]:
        """The lanes to which something was being sent, or that were suspended, when they were stored, by name: for their next owner."""
        ...
