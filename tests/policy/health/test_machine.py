"""Disk, clock, certificate, versions."""

from datetime import UTC, date, datetime, timedelta

import pytest

from sendryd.policy.health import Verdict
from sendryd.policy.health.machine import (
    LITTLE_ROOM,
    SOME_ROOM,
    Certificate,
    Disk,
    judge_certificate,
    judge_clock,
    judge_disk,
    judge_running,
    judge_versions,
)
from sendryd.testing.cases import cases

NOW = datetime(2026, 5, 5, 13, 58, tzinfo=UTC)
RIGHT, ADVISED, WRONG, UNKNOWN = Verdict.RIGHT, Verdict.ADVISED, Verdict.WRONG, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("free", "inodes", "has_inodes", "verdict"),
    [
        (SOME_ROOM, 1_000_000, True, RIGHT),
        (SOME_ROOM - 1, 1_000_000, True, ADVISED),
        (LITTLE_ROOM - 1, 1_000_000, True, WRONG),
        (SOME_ROOM, 999, True, WRONG),
        (SOME_ROOM, 10_000, True, ADVISED),
        (SOME_ROOM, 0, False, RIGHT),
    ],
)
def test_the_disk(free: int, inodes: int, has_inodes: bool, verdict: Verdict) -> None:
    found = judge_disk(Disk(folder="/srv/mail", free=free, inodes=inodes, has_inodes=has_inodes))
    assert found.verdict is verdict
    assert "/srv/mail" in found.sentence


@pytest.mark.parametrize(
    ("noted", "is_synchronised", "verdict"),
    [
        (None, True, RIGHT),
        (None, None, RIGHT),
        (NOW + timedelta(seconds=50), True, RIGHT),
        (NOW + timedelta(minutes=2), True, WRONG),
        (NOW - timedelta(days=1), False, ADVISED),
    ],
)
def test_the_clock(noted: datetime | None, is_synchronised: bool | None, verdict: Verdict) -> None:
    assert judge_clock(NOW, noted, is_synchronised=is_synchronised).verdict is verdict


def certificate(names: str = "mail.example.com", days: int = 90, *, is_own: bool = False) -> Certificate:
    return Certificate(path="/tls/cert.pem", expires=NOW + timedelta(days=days), names=names.split(), is_own=is_own)


@cases(
    ("found", "is_loopback", "verdict"),
    [
        (certificate(), False, RIGHT),
        (certificate("*.example.com"), False, RIGHT),
        (certificate("MAIL.Example.com"), False, RIGHT),
        (certificate("*.mail.example.com"), False, WRONG),
        (certificate("*.com"), False, WRONG),
        (certificate("other.example"), False, WRONG),
        (certificate(""), False, WRONG),
        (certificate(days=-1), False, WRONG),
        (certificate(days=13), False, ADVISED),
        (certificate(is_own=True), False, ADVISED),
        (certificate(is_own=True), True, RIGHT),
        (None, False, WRONG),
    ],
)
def test_the_certificate(found: Certificate | None, is_loopback: bool, verdict: Verdict) -> None:
    assert judge_certificate(found, "mail.example.com", NOW, fault="it is not PEM", is_loopback=is_loopback).verdict is verdict


@pytest.mark.parametrize(
    ("python", "openssl", "today", "verdict"),
    [
        ((3, 11), (3, 0), date(2026, 11, 1), RIGHT),
        ((3, 11), (3, 0), date(2027, 11, 1), ADVISED),
        ((3, 13), (1, 1), date(2026, 11, 1), ADVISED),
        ((3, 99), (4, 0), date(2040, 1, 1), RIGHT),
    ],
)
def test_versions_are_judged_by_their_end_of_support(
    python: tuple[int, int], openssl: tuple[int, int], today: date, verdict: Verdict
) -> None:
    assert judge_versions(python, openssl, today).verdict is verdict


@pytest.mark.parametrize(("is_running", "verdict"), [(True, RIGHT), (False, ADVISED), (None, UNKNOWN)])
def test_the_relay_runs(is_running: bool | None, verdict: Verdict) -> None:
    assert judge_running(is_running).verdict is verdict
