"""Sites with their rules, and what is stopped."""

from datetime import timedelta

from sendryd.dashboard.engineview import limits_text, site_views, stop_views
from sendryd.model.ids import AccountId
from sendryd.model.lane import LaneSnapshot
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.shaping.limits import Limits, Rate
from sendryd.policy.shaping.rules import read_rules
from sendryd.store.base import EgressKind, EgressSuspension, PausedDestination, SuspendedAccount
from sendryd.testing.samples import NOW

RULES = read_rules('[provider.google]\nmx = [".google.com"]\nconnections = 5\nmessage_rate = "100/m"\ntls = "required"\n')


def lane(domain: str, site: str = "", *, sending: int = 0, per_minute: int = 0, minutes: float | None = None) -> LaneSnapshot:
    return LaneSnapshot(
        next_hop=domain,
        at=NOW,
        sending=sending,
        limit=5,
        per_minute=per_minute,
        suspended_until=None if minutes is None else NOW + timedelta(minutes=minutes),
        last_success=None,
        last_reply="",
        servers=(),
        site=site,
    )


def test_domains_of_one_site_are_one_line_with_its_rules() -> None:
    names = ["a.test", "b.test", "c.test", "d.test"]
    lanes = [lane(name, "google", sending=2, per_minute=30, minutes=5) for name in names]
    google, own = site_views([lane("own.test"), *lanes, lane(ANY_DOMAIN)], RULES, NOW)
    assert (google.name, google.domains, google.sending, google.rate) == (
        "google",
        "a.test, b.test, c.test and 1 more",
        "2 of 5",
        "30 a minute",
    )
    assert google.suspended_until is not None
    assert google.rules == "5 sessions at once, 100 messages in each, 100 messages in 1 minute, only encrypted"
    assert (own.name, own.domains, own.rate, own.is_ruled, google.is_ruled) == ("own.test", "own.test", "", False, True)
    (old,) = site_views([lane("x.test", per_minute=9, minutes=-1)], RULES, NOW + timedelta(hours=1))
    assert (old.rate, old.suspended_until) == ("", None)


def test_limits_in_words() -> None:
    assert limits_text(Limits()) == "no limit"
    assert limits_text(Limits(connection_rate=Rate(7, 3600))) == "7 new sessions in 1 hour"


def test_what_is_stopped_has_its_end_and_its_reason() -> None:
    until = NOW + timedelta(hours=1)
    stops = stop_views(
        [PausedDestination(domain=ANY_DOMAIN, by="Mara", since=NOW), PausedDestination(domain="x.test", by="Ada", since=NOW, until=NOW)],
        [SuspendedAccount(account_id=AccountId(1), by="Mara", since=NOW, until=until, reason="spam")],
        [EgressSuspension(kind=EgressKind.POOL, name="bulk", by="Ada", since=NOW, until=None, reason="listed")],
        NOW,
    )
    assert [(each.kind, each.name, each.by, each.until is None, each.reason) for each in stops] == [
        ("Destination", "All mail", "Mara", True, ""),
        ("Account", "org_0000000000001", "Mara", False, "spam"),
        ("Pool", "bulk", "Ada", True, "listed"),
    ]
