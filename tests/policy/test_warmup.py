"""How much a new address may send in a day."""

from datetime import date, timedelta

from sendryd.policy.warmup import RAMP, day_cap, site_of

START = date(2027, 3, 1)


def test_the_ramp_doubles_each_day_and_ends() -> None:
    caps = [day_cap(START, START + timedelta(days=number)) for number in range(len(RAMP) + 2)]
    assert caps[:5] == [50, 100, 200, 400, 800]
    assert caps[-3:] == [409_600, None, None]


def test_before_its_first_day_an_address_sends_nothing() -> None:
    assert day_cap(START, START - timedelta(days=1)) == 0


def test_without_a_ramp_there_is_no_limit() -> None:
    assert day_cap(None, START) is None


def test_domains_of_one_provider_are_one_site() -> None:
    assert site_of("aspmx.l.google.com", "corp.example") == site_of("gmail-smtp-in.l.google.com", "gmail.com")
    assert site_of("mx.corp.example", "corp.example") == "corp.example"
