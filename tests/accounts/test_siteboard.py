"""Sites as people see them."""

from datetime import timedelta

from sendryd.accounts.siteboard import list_sites
from sendryd.model.lane import LaneSnapshot, LimitCause
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.shaping.limits import NO_LIMITS, Limits
from sendryd.store.base import LimitedDestination
from sendryd.store.memory import MemoryStore
from sendryd.testing.samples import NOW

HOUR = timedelta(hours=1)


def lane(domain: str, site: str = "", *, per_minute: int = 0, minutes: int = 0, suspended: bool = False) -> LaneSnapshot:
    return LaneSnapshot(
        next_hop=domain,
        at=NOW - timedelta(minutes=minutes),
        sending=3,
        limit=5,
        per_minute=per_minute,
        suspended_until=NOW + HOUR if suspended else None,
        last_success=None,
        last_reply="",
        servers=(),
        site=site,
    )


def effect(site: str, *, suspends: bool = True, hours: int = 1) -> Effect:
    limits = NO_LIMITS if suspends else Limits(connections=1)
    return Effect(
        site=site, rule=f"{site}/1", reply="450", began_at=NOW - 9 * HOUR, ends_at=NOW + hours * HOUR, suspends=suspends, limits=limits
    )


async def test_sites_have_their_domains_and_what_holds_them_back() -> None:
    store = MemoryStore()
    lanes = [
        lane("one.test", "google", per_minute=2),
        lane("two.test", "google", per_minute=3),
        lane("own.test", per_minute=9),
        lane("old.test", minutes=90),
        lane("down.test", "mx.down.test", suspended=True),
    ]
    await store.put_lanes(lanes, keep_since=NOW - 9 * HOUR, most=99)
    await store.put_shaping_effects([effect("yahoo"), effect("google", suspends=False), effect("over", hours=-1)])
    await store.pause_destination("own.test", by="Ann", now=NOW)
    await store.limit_destination(LimitedDestination(domain="google", sessions=2, by="Ben", since=NOW))
    sites = {each.name: each for each in await list_sites(store, NOW)}
    assert set(sites) == {"google", "own.test", "mx.down.test", "yahoo"}
    google = sites["google"]
    assert (google.domains, google.sending, google.limit, google.per_minute) == (("one.test", "two.test"), 3, 5, 5)
    assert (google.suspended_until, google.cause) == (None, LimitCause.WINDOW)
    assert [each.rule for each in google.effects] == ["google/1"]
    assert google.limited is not None
    assert google.limited.by == "Ben"
    assert sites["yahoo"].suspended_until == sites["mx.down.test"].suspended_until == NOW + HOUR
    assert sites["own.test"].paused is not None
    order = [each.name for each in await list_sites(store, NOW)]
    assert order == ["own.test", "google", "mx.down.test", "yahoo"]
