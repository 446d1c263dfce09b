"""No server at all can be reached: several next hops, and not one connection."""

from datetime import UTC, datetime, timedelta

import pytest

from sendryd.model.lane import LaneSnapshot, TriedServer
from sendryd.policy.explain import nothing_reachable

NOW = datetime(2026, 5, 5, 13, 58, tzinfo=UTC)
REFUSED = "not connected: timed out"


def lane(*faults: str, minutes: int = 1) -> LaneSnapshot:
    servers = tuple(
        TriedServer(host="mx.test", address="192.0.2.1", port=25, tls="", fault=fault, at=NOW - timedelta(minutes=minutes))
        for fault in faults
    )
    return LaneSnapshot(
        next_hop="a.test",
        at=NOW,
        sending=0,
        limit=5,
        per_minute=0,
        suspended_until=None,
        last_success=None,
        last_reply="",
        servers=servers,
    )


@pytest.mark.parametrize(
    ("lanes", "is_so"),
    [
        ([], False),
        ([lane(REFUSED)] * 2, False),
        ([lane(REFUSED)] * 3, True),
        ([lane(REFUSED, REFUSED)] * 3, True),
        ([lane(REFUSED), lane(REFUSED), lane(REFUSED, "")], False),
        ([lane(REFUSED), lane(REFUSED), lane(REFUSED), lane("session broken at RCPT")], False),
        ([lane(REFUSED), lane(REFUSED), lane(REFUSED, minutes=11)], False),
        ([lane(REFUSED), lane(REFUSED), lane(REFUSED), lane("", minutes=11)], True),
        ([lane(REFUSED), lane(REFUSED), lane()], False),
    ],
)
def test_nothing_is_reachable_if_several_were_tried_lately_and_none_answered(lanes: list[LaneSnapshot], *, is_so: bool) -> None:
    assert nothing_reachable(lanes, NOW) is is_so
