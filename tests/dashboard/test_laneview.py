"""A lane on the pages of the queue."""

from dataclasses import replace
from datetime import timedelta

from sendryd.dashboard.laneview import lane_view
from sendryd.model.lane import LaneSnapshot, TriedServer
from sendryd.testing.samples import NOW

SECOND = timedelta(seconds=1)
SILENT = TriedServer(host="mx1.test", address="192.0.2.1", port=25, tls="", fault="not connected: refused", at=NOW)
BROKEN = TriedServer(
    host="mx2.test", address="192.0.2.2", port=25, tls="TLSv1.3, AES", fault="session broken at EHLO: 554 a@b.test", at=NOW
)
GOOD = TriedServer(host="mx3.test", address="192.0.2.3", port=25, tls="TLSv1.3, AES", fault="", at=NOW)


def lane(next_hop: str = "one.test") -> LaneSnapshot:
    return LaneSnapshot(
        next_hop=next_hop,
        at=NOW,
        sending=3,
        limit=20,
        per_minute=1200,
        suspended_until=NOW + 60 * SECOND,
        last_success=None,
        last_reply="550 5.1.1 no a@b.test",
        servers=(SILENT, BROKEN, GOOD),
    )


def test_what_servers_said_is_for_operators() -> None:
    operator, viewer = lane_view(lane(), NOW, has_words=True), lane_view(lane(), NOW, has_words=False)
    assert [each.outcome for each in operator.servers] == [SILENT.fault, BROKEN.fault, "answered"]
    assert [each.outcome for each in viewer.servers] == ["did not answer", "broke the session", "answered"]
    assert [each.is_reached for each in viewer.servers] == [False, False, True]
    assert "a@b.test" in str(operator)
    assert "a@b.test" not in str(viewer)
    assert (viewer.sending, viewer.rate, viewer.servers[0].tls) == ("3 of 20 at once", "1,200 a minute", "without TLS")


def test_what_is_over_is_left_out() -> None:
    assert lane_view(lane(), NOW + 30 * SECOND, has_words=True).suspended_until is not None
    late = lane_view(lane(), NOW + 180 * SECOND, has_words=True)
    assert (late.suspended_until, late.rate) == (None, "")


def test_a_smart_host_is_named() -> None:
    assert (lane_view(lane("*"), NOW, has_words=True).through, lane_view(lane(), NOW, has_words=True).through) == ("mx1.test", "")


def test_the_site_and_the_rule_that_holds_it_back_are_named() -> None:
    shaped = replace(lane(), site="yahoo", rule="yahoo/1", rule_until=NOW + 60 * SECOND, rule_reply="421 a@b.test")
    view = lane_view(shaped, NOW, has_words=False)
    assert (view.site, view.rule) == ("yahoo", "yahoo/1 until 03:05 UTC")
    assert "a@b.test" not in str(view)
    assert lane_view(shaped, NOW + 61 * SECOND, has_words=True).rule == ""
