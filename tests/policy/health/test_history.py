"""Since when a check says what it says."""

from datetime import timedelta

from sendryd.policy.health import Check, Finding, Verdict
from sendryd.policy.health.history import FindingSpan, advance
from sendryd.testing.samples import NOW

LATER = NOW + timedelta(minutes=1)


def finding(verdict: Verdict, sentence: str = "x.", about: str = "") -> Finding:
    return Finding(check=Check.DISK, verdict=verdict, sentence=sentence, fix="f", about=about)


def test_a_verdict_that_stays_keeps_its_beginning() -> None:
    (first,) = advance([], [finding(Verdict.RIGHT)], {Check.DISK}, NOW)
    assert first == FindingSpan(finding=finding(Verdict.RIGHT), began_at=NOW)
    assert advance([first], [finding(Verdict.RIGHT)], {Check.DISK}, LATER) == []
    (told,) = advance([first], [finding(Verdict.RIGHT, "y.")], {Check.DISK}, LATER)
    assert (told.began_at, told.finding.sentence) == (NOW, "y.")


def test_another_verdict_ends_the_one_before() -> None:
    first = FindingSpan(finding=finding(Verdict.RIGHT), began_at=NOW)
    ended, begun = advance([first], [finding(Verdict.WRONG)], {Check.DISK}, LATER)
    assert (ended.finding.verdict, ended.ended_at) == (Verdict.RIGHT, LATER)
    assert (begun.finding.verdict, begun.began_at, begun.ended_at) == (Verdict.WRONG, LATER, None)


def test_what_was_looked_at_and_not_found_ends() -> None:
    first = FindingSpan(finding=finding(Verdict.WRONG, about="a"), began_at=NOW)
    assert advance([first], [], set(), LATER) == []
    (ended,) = advance([first], [], {Check.DISK}, LATER)
    assert ended.ended_at == LATER


def test_several_findings_about_one_subject_are_one() -> None:
    (only,) = advance([], [finding(Verdict.ADVISED, "a."), finding(Verdict.WRONG, "b.")], {Check.DISK}, NOW)
    assert (only.finding.verdict, only.finding.sentence, only.finding.fix) == (Verdict.WRONG, "a. b.", "f f")
