"""The history of findings: since when a check says what it says. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.policy.health.finding import Check, Finding, Verdict

KEPT: Final = timedelta(days=30)  # of what is over
_WORST: Final = (Verdict.WRONG, Verdict.UNKNOWN, Verdict.ADVISED, Verdict.RIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSpan:
    """A finding and the time in which its verdict was the same."""

    finding: Finding
    began_at: datetime
    ended_at: datetime | None = None  # None: it is so now

    @property
    def subject(self) -> tuple[Check, str]:
        """The check, and what it is about."""
        return self.finding.check, self.finding.about


def advance(present: Iterable[FindingSpan], findings: Sequence[Finding], looked_at: Collection[Check], now: datetime) -> list[FindingSpan]:
    """The spans that a new examination begins, changes or ends. `looked_at`: its checks; what it did not look at stays."""
    changed = []
    before = {each.subject: each for each in present}
    for subject, finding in _folded(findings).items():
        span = before.pop(subject, None)
        if span is not None and span.finding.verdict is finding.verdict:
            if span.finding != finding:
                changed.append(replace(span, finding=finding))
            continue
        if span is not None:
            changed.append(replace(span, ended_at=now))
        changed.append(FindingSpan(finding=finding, began_at=now))
    changed += [replace(span, ended_at=now) for span in before.values() if span.finding.check in looked_at]
    return changed


def _folded(findings: Sequence[Finding]) -> dict[tuple[Check, str], Finding]:
    """One finding for each subject: several about one domain become one, with the worst verdict."""
    folded: dict[tuple[Check, str], Finding] = {}
    for each in findings:
        subject = each.check, each.about
        first = folded.get(subject)
        if first is None:
            folded[subject] = each
            continue
        folded[subject] = replace(
            first,
            verdict=min(first.verdict, each.verdict, key=_WORST.index),
            sentence=f"{first.sentence} {each.sentence}",
            fix=" ".join(filter(None, (first.fix, each.fix))),
            has_deadline=first.has_deadline or each.has_deadline,
        )
    return folded
