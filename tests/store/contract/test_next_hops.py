"""Next hops: hosts that did TLS, and probes that an operator asks for."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from sendryd.model.domain import StsMode
from sendryd.model.lane import LaneSnapshot, LimitCause, LimitChange, TriedServer
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.shaping.limits import NO_LIMITS, Limits, Rate
from sendryd.policy.tlsrpt import Failure, result_of
from sendryd.store.base import ENDED_KEPT, MAX_LIMIT_CHANGES, LimitedDestination, MailStore, PausedDestination, QueueFilter, StoredStsPolicy
from sendryd.testing.samples import NOW, Samples

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_the_latest_hosts_that_did_tls_are_kept(store: MailStore) -> None:
    await store.note_tls_hosts({f"mx{number}.test": NOW + number * HOUR for number in range(5)}, keep_since=NOW, most=9)
    await store.note_tls_hosts({"mx1.test": NOW, "mx9.test": NOW + 9 * HOUR}, keep_since=NOW + HOUR, most=4)
    found = await store.list_tls_hosts()
    assert found == [(f"mx{number}.test", NOW + number * HOUR) for number in (2, 3, 4, 9)]


def sts(domain: str, hours: int = 0, **changes: Any) -> StoredStsPolicy:
    policy = StsPolicy(mode=StsMode.ENFORCE, mx=("mx.test", "*.mx.test"), max_age=changes.get("max_age", 86400))
    return StoredStsPolicy(domain=domain, record_id=changes.get("record_id", "1"), policy=policy, fetched_at=NOW + hours * HOUR)


async def test_the_latest_policy_of_a_domain_is_kept_until_it_expires(store: MailStore) -> None:
    for each in (sts("old.test", max_age=3600), sts("a.test"), sts("b.test", 1), sts("a.test", 2, record_id="2")):
        await store.put_sts_policy(each, now=NOW, most=9)
    assert await store.list_sts_policies() == [sts("old.test", max_age=3600), sts("b.test", 1), sts("a.test", 2, record_id="2")]
    await store.put_sts_policy(sts("c.test", 3), now=NOW + HOUR, most=2)
    assert [each.domain for each in await store.list_sts_policies()] == ["a.test", "c.test"]


async def test_results_of_tls_are_added_up_by_day_until_they_are_removed(store: MailStore) -> None:
    day, other = date(2026, 11, 28), date(2026, 11, 29)
    good, bad = result_of("a.test", None, ()), result_of("a.test", None, (), failure=Failure.EXPIRED, host="mx.test", address="192.0.2.1")
    await store.add_tls_results([(day, good, 2), (day, bad, 1), (other, result_of("b.test", None, ()), 1)], most=3)
    await store.add_tls_results([(day, good, 3), (other, good, 1)], most=3)
    assert await store.list_tls_days(before=other) == [(day, "a.test")]
    assert await store.list_tls_days(before=date(2026, 12, 1)) == [(day, "a.test"), (other, "b.test")]
    assert dict(await store.find_tls_results(day, "a.test")) == {good: 5, bad: 1}
    await store.remove_tls_results(day, "a.test")
    assert await store.list_tls_days(before=date(2026, 12, 1)) == [(other, "b.test")]


async def test_what_replies_brought_is_stored_as_a_whole(store: MailStore) -> None:
    limits = Limits(connections=1, message_rate=Rate(10, 60.0), connection_rate=Rate(1, 2.0))
    first = Effect(site="a", rule="a/1", reply="450 slow \udcff", began_at=NOW, ends_at=NOW + HOUR, suspends=False, limits=limits)
    other = Effect(site="b", rule="b/2", reply="550 away", began_at=NOW, ends_at=NOW + HOUR, suspends=True, limits=NO_LIMITS)
    assert await store.list_shaping_effects() == []
    await store.put_shaping_effects([other, first])
    found = await store.list_shaping_effects()
    assert [(each.rule, each.limits, each.suspends, each.ends_at) for each in found] == [
        ("a/1", limits, False, NOW + HOUR),
        ("b/2", NO_LIMITS, True, NOW + HOUR),
    ]
    await store.put_shaping_effects([other])
    assert [each.rule for each in await store.list_shaping_effects()] == ["b/2"]


async def test_a_person_ends_what_replies_brought(store: MailStore) -> None:
    first = Effect(site="a", rule="a/1", reply="450 slow", began_at=NOW, ends_at=NOW + HOUR, suspends=True, limits=NO_LIMITS)
    await store.put_shaping_effects([first, replace(first, rule="a/2"), replace(first, site="b")])
    assert await store.list_ended_effects() == {}
    assert not await store.end_shaping_effect("a", "a/3", NOW)
    assert await store.end_shaping_effect("a", "a/1", NOW)
    assert [(each.site, each.rule) for each in await store.list_shaping_effects()] == [("a", "a/2"), ("b", "a/1")]
    assert await store.list_ended_effects() == {("a", "a/1"): NOW}
    assert not await store.end_shaping_effect("a", "a/1", NOW + HOUR)
    later = NOW + ENDED_KEPT + HOUR
    assert await store.end_shaping_effect("b", "a/1", later)
    assert await store.list_ended_effects() == {("b", "a/1"): later}


@pytest.mark.parametrize("is_held", [False, True])
async def test_what_an_operator_moves_asks_for_a_probe_of_its_domain(store: MailStore, samples: Samples, *, is_held: bool) -> None:
    await store.accept(samples.message(["a@one.test", "b@two.test"]))
    which = QueueFilter(domain="one.test")
    if is_held:
        await store.hold(which, NOW)
    assert await store.list_probes() == []
    await (store.release_held(which, NOW) if is_held else store.retry(which, NOW))
    assert await store.list_probes() == ["one.test"]
    await store.clear_probes(["other.test"])
    assert await store.list_probes() == ["one.test"]
    await store.clear_probes(["one.test"])
    assert await store.list_probes() == []


async def test_a_destination_is_paused_until_somebody_lets_it_go_on(store: MailStore) -> None:
    assert await store.pause_destination("one.test", by="Mara", now=NOW)
    assert not await store.pause_destination("one.test", by="Vera", now=NOW + timedelta(hours=1))
    assert await store.list_paused_destinations() == [PausedDestination(domain="one.test", by="Mara", since=NOW)]
    assert await store.resume_destination("one.test")
    assert not await store.resume_destination("one.test")
    assert await store.list_paused_destinations() == []
    assert await store.list_probes() == ["one.test"]


async def test_pauses_and_limits_end_at_their_time(store: MailStore) -> None:
    short, long = (
        LimitedDestination(domain=name, sessions=2, by="Mara", since=NOW, until=until)
        for name, until in (("a.test", NOW + HOUR), ("b.test", None))
    )
    for each in (short, long):
        await store.limit_destination(each)
        await store.pause_destination(each.domain, by="Mara", now=NOW, until=each.until)
    assert await store.list_limited_destinations() == [short, long]
    await store.end_pauses_and_limits(NOW + timedelta(minutes=59))
    assert [(each.domain, each.until) for each in await store.list_paused_destinations()] == [("a.test", NOW + HOUR), ("b.test", None)]
    await store.end_pauses_and_limits(NOW + HOUR)
    assert await store.list_limited_destinations() == [long]
    assert [each.domain for each in await store.list_paused_destinations()] == ["b.test"]
    assert await store.list_probes() == ["a.test"]


async def test_a_limit_is_replaced_and_lifted(store: MailStore) -> None:
    for sessions, by in ((2, "Mara"), (3, "Vera")):
        await store.limit_destination(LimitedDestination(domain="a.test", sessions=sessions, by=by, since=NOW))
    assert await store.list_limited_destinations() == [LimitedDestination(domain="a.test", sessions=3, by="Vera", since=NOW)]
    assert [await store.lift_limit("a.test") for _ in range(2)] == [True, False]
    assert await store.list_limited_destinations() == []


async def test_limits_of_a_lane_are_noted_as_they_change(store: MailStore) -> None:
    free: dict[str, Any] = {"suspended_until": None}
    suspended, probe = {"suspended_until": NOW}, {"limit": 1, "cause": LimitCause.PROBE}
    states: list[dict[str, Any]] = [{"limit": 5}, {"limit": 5}, {"limit": 4}, suspended, probe]
    for hours, state in enumerate(states):
        await store.put_lanes([lane(1, **{**free, **state, "at": NOW + hours * HOUR})], keep_since=NOW, most=9)
    assert await store.list_limit_changes("lane1.test", limit=9) == [
        LimitChange(at=NOW + 4 * HOUR, sessions=1, cause=LimitCause.PROBE),
        LimitChange(at=NOW + 3 * HOUR, sessions=0, cause=LimitCause.SUSPENDED),
        LimitChange(at=NOW + 2 * HOUR, sessions=4, cause=LimitCause.WINDOW),
        LimitChange(at=NOW, sessions=5, cause=LimitCause.WINDOW),
    ]
    for number in range(MAX_LIMIT_CHANGES + 5):
        await store.put_lanes([lane(1, **free, limit=number + 9, at=NOW + number * DAY)], keep_since=NOW, most=9)
    kept = await store.list_limit_changes("lane1.test", limit=99)
    assert (len(kept), kept[0].sessions) == (MAX_LIMIT_CHANGES, MAX_LIMIT_CHANGES + 13)
    await store.put_lanes([lane(2, at=NOW + 99 * DAY)], keep_since=NOW + 98 * DAY, most=9)
    assert await store.list_limit_changes("lane1.test", limit=9) == []


def lane(number: int = 1, **changes: Any) -> LaneSnapshot:
    server = TriedServer(host="mx.test", address="192.0.2.1", port=25, tls="TLSv1.3", fault="no answer", at=NOW)
    known: dict[str, Any] = {
        "next_hop": f"lane{number}.test",
        "at": NOW + number * HOUR,
        "sending": 3,
        "limit": 5,
        "per_minute": 20,
        "suspended_until": NOW + DAY,
        "last_success": None,
        "last_reply": "421 4.7.28 slow down",
        "servers": (server,),
    }
    return LaneSnapshot(**{**known, **changes})


async def test_what_is_known_of_a_lane_is_read_as_it_was_stored_last(store: MailStore) -> None:
    await store.put_lanes([lane(1), lane(2)], keep_since=NOW, most=9)
    await store.put_lanes([lane(2, sending=0, last_success=NOW, servers=())], keep_since=NOW, most=9)
    assert await store.find_lanes(["lane2.test", "lane1.test", "lane3.test"]) == [lane(1), lane(2, sending=0, last_success=NOW, servers=())]
    assert await store.list_lanes(since=NOW, limit=1) == [lane(2, sending=0, last_success=NOW, servers=())]
    assert await store.list_lanes(since=NOW + 3 * HOUR, limit=9) == []


async def test_old_lanes_and_those_beyond_the_limit_are_forgotten(store: MailStore) -> None:
    await store.put_lanes([lane(number) for number in range(5)], keep_since=NOW + HOUR, most=3)
    assert [each.next_hop for each in await store.list_lanes(since=NOW, limit=9)] == ["lane4.test", "lane3.test", "lane2.test"]


async def test_the_next_owner_is_told_of_lanes_that_were_busy_or_suspended(store: MailStore) -> None:
    quiet, busy = lane(1, sending=0, suspended_until=None), lane(2, suspended_until=None)
    suspended = lane(3, sending=0)
    await store.put_lanes([quiet, suspended, busy], keep_since=NOW, most=9)
    assert await store.list_stirring_lanes() == [busy, suspended]


async def test_deliveries_that_are_due_before_a_moment_are_counted(store: MailStore, samples: Samples) -> None:
    for hours in range(4):
        await store.accept(samples.message(["u@one.test"], created_at=NOW, due_at=NOW + hours * HOUR))
    await store.accept(samples.message(["u@two.test"], created_at=NOW))
    counted = [await store.count_ahead("one.test", NOW + hours * HOUR, most=3) for hours in range(5)]
    assert counted == [0, 1, 2, 3, 3]
    assert await store.count_ahead("none.test", NOW + DAY, most=3) == 0
