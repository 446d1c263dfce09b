"""Sites with their rules, and what is stopped."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sendryd.accounts.egress import AddressState
from sendryd.accounts.siteboard import SiteView as Site
from sendryd.dashboard.engineview import limits_text, pool_views, site_views, stop_views
from sendryd.model.ids import AccountId
from sendryd.model.lane import LimitCause
from sendryd.policy.egress import Source
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.shaping.limits import Limits, Rate
from sendryd.policy.shaping.rules import read_rules
from sendryd.store.base import EgressKind, EgressSuspension, PausedDestination, SuspendedAccount
from sendryd.testing.samples import NOW

RULES = read_rules('[provider.google]\nmx = [".google.com"]\nconnections = 5\nmessage_rate = "100/m"\ntls = "required"\n')


def site(name: str, *domains: str, **changes: Any) -> Site:
    usual: dict[str, Any] = {
        "name": name,
        "domains": domains,
        "sending": 0,
        "limit": 5,
        "cause": LimitCause.WINDOW,
        "per_minute": 0,
        "suspended_until": None,
        "effects": (),
        "paused": None,
        "limited": None,
    }
    return Site(**{**usual, **changes})


def test_domains_of_one_site_are_one_line_with_its_rules() -> None:
    until = NOW + timedelta(minutes=5)
    effect = Effect(
        site="google",
        rule="google/1",
        reply="421 4.7.28 Slow down",
        began_at=NOW,
        ends_at=until,
        suspends=False,
        limits=Limits(message_rate=Rate(10, 60)),
    )
    busy = site("google", "a.test", "b.test", "c.test", "d.test", sending=2, per_minute=30, suspended_until=until, effects=(effect,))
    google, own = site_views([busy, site("own.test", "own.test"), site(ANY_DOMAIN)], RULES)
    assert (google.name, google.domains, google.sending, google.rate) == (
        "google",
        "a.test, b.test, c.test and 1 more",
        "2 of 5",
        "30 a minute",
    )
    assert google.suspended_until is not None
    assert google.rules == "5 sessions at once, 100 messages in each, 100 messages in 1 minute, only encrypted"
    assert [(each.rule, each.text, each.reply) for each in google.effects] == [
        ("google/1", "10 messages in 1 minute", "421 4.7.28 Slow down")
    ]
    assert (own.name, own.domains, own.rate, own.is_ruled, google.is_ruled) == ("own.test", "own.test", "", False, True)


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


def test_addresses_are_listed_by_their_pools() -> None:
    def state(pool: str, address: str, *, of: EgressKind | None = None, **changes: Any) -> AddressState:
        found = EgressSuspension(kind=of, name=address, by="Ada", since=NOW, until=None, reason="") if of is not None else None
        usual: dict[str, Any] = {"suspension": found, "pool_suspension": None, "cap": None, "sent": {}}
        return AddressState(pool=pool, source=Source(address, "a.example"), **{**usual, **changes})

    warming = state("default", "192.0.2.1", cap=50, sent={"google": 7})
    bulk = state("bulk", "192.0.2.3", of=EgressKind.POOL)
    default, other = pool_views(
        [warming, state("default", "192.0.2.2", of=EgressKind.ADDRESS), replace(bulk, pool_suspension=bulk.suspension)]
    )
    assert [(each.address, each.today, each.is_suspended) for each in default.addresses] == [
        ("192.0.2.1", "7 of 50 to google", False),
        ("192.0.2.2", "", True),
    ]
    assert (default.name, default.is_suspended) == ("default", False)
    assert (other.name, other.is_suspended, other.addresses[0].is_suspended) == ("bulk", True, False)
