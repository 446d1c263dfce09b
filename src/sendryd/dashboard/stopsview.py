"""What people have stopped, as the page of the queue lists it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from sendryd.accounts.egress import suspension_lines
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId, format_id
from sendryd.model.moment import timestamp
from sendryd.policy.explain.words import clock
from sendryd.policy.smarthost import parse_destination
from sendryd.smtp.address import AddressError
from sendryd.store.base import EgressSuspension, PausedDestination, SuspendedAccount


@dataclass(frozen=True, slots=True)
class StopView:
    """A suspended account."""

    id: str
    is_own: bool  # of the account that looks
    by: str
    since: Moment
    until: Moment | None
    reason: str


@dataclass(frozen=True, slots=True)
class QuietRow:
    """A paused destination that nothing waits for: a domain, a site, or all mail."""

    domain: str
    path: str  # of its page; empty for a site
    paused_by: str
    paused_until: Moment | None
    since: str
    since_text: str


@dataclass(frozen=True, slots=True)
class EgressView:
    """A suspended address or pool."""

    kind: str
    name: str
    line: str


def quiet_row(pause: PausedDestination, now: datetime) -> QuietRow:
    """A pause as the page shows it."""
    try:
        path = f"/queue/{quote(parse_destination(pause.domain))}"
    except AddressError:
        path = ""
    until = moment_of(pause.until) if pause.until else None
    return QuietRow(pause.domain, path, pause.by, until, timestamp(pause.since), clock(pause.since, now))


def egress_views(suspensions: Iterable[EgressSuspension], now: datetime) -> tuple[EgressView, ...]:
    """The addresses and pools that are suspended now, each with a sentence."""
    return tuple(EgressView(each.kind.value, each.name, line) for each in suspensions for line in suspension_lines([each], now))


def stop_views(found: Sequence[SuspendedAccount], own: AccountId, now: datetime, *, sees_everything: bool) -> tuple[StopView, ...]:
    """The suspensions that are not over: of the own account, or all of them."""
    return tuple(
        StopView(
            format_id(ORGANIZATION_PREFIX, each.account_id),
            each.account_id == own,
            each.by,
            moment_of(each.since),
            moment_of(each.until) if each.until else None,
            each.reason,
        )
        for each in found
        if not each.is_over(now) and (sees_everything or each.account_id == own)
    )
