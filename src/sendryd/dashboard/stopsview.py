"""What people have stopped, as the page of the queue lists it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId, format_id
from sendryd.store.base import SuspendedAccount


@dataclass(frozen=True, slots=True)
class StopView:
    """A suspended account."""

    id: str
    is_own: bool  # of the account that looks
    by: str
    since: Moment
    until: Moment | None
    reason: str


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
