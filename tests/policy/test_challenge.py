"""Challenges: bound to a purpose and a browser, for five minutes."""

from datetime import UTC, datetime, timedelta

from sendryd.policy.challenge import LIFETIME, Purpose, check_challenge, make_challenge

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_challenge_is_good_for_its_purpose_and_browser_until_it_expires() -> None:
    made = make_challenge(b"secret", Purpose.SIGN_IN, "cookie", now=NOW, chance="a")
    assert made != make_challenge(b"secret", Purpose.SIGN_IN, "cookie", now=NOW, chance="b")
    assert check_challenge(b"secret", Purpose.SIGN_IN, "cookie", made, now=NOW + LIFETIME - SECOND) == NOW + LIFETIME
    assert check_challenge(b"secret", Purpose.SIGN_IN, "cookie", made, now=NOW + LIFETIME) is None
    for secret, purpose, browser in (
        (b"other", Purpose.SIGN_IN, "cookie"),
        (b"secret", Purpose.ELEVATE, "cookie"),
        (b"secret", Purpose.SIGN_IN, ""),
    ):
        assert check_challenge(secret, purpose, browser, made, now=NOW) is None


def test_what_was_changed_or_cut_is_no_challenge() -> None:
    made = make_challenge(b"secret", Purpose.SIGN_IN, "cookie", now=NOW, chance="a")
    for at in range(len(made)):
        for other in (made[:at], made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :]):
            assert check_challenge(b"secret", Purpose.SIGN_IN, "cookie", other, now=NOW) is None
    assert check_challenge(b"secret", Purpose.SIGN_IN, "cookie", made + b"x", now=NOW) is None
