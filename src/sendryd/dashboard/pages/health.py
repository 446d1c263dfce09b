"""Health: what `sendryd check` finds, each with its fix."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.examination import Examined
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.policy.explain.words import span
from sendryd.policy.health import Finding, Verdict
from sendryd.policy.rights import Right

VERDICTS: Final = {
    Verdict.WRONG: ("bad", "bad", "Wrong"),
    Verdict.UNKNOWN: ("off", "off", "Unknown"),
    Verdict.ADVISED: ("slow", "warn", "Advised"),
    Verdict.RIGHT: ("ok", "ok", "Right"),
}
NUMBERS: Final = ("Nothing is", "One thing is", "Two things are", "Three things are", "Four things are", "Five things are")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A finding."""

    check: str
    verdict: str
    tone: str
    shape: str
    word: str
    about: str
    sentence: str
    fix: str


async def show(visit: Visit) -> Response:
    """`GET /health`."""
    examination = visit.needs.examination
    found = await examination.latest()
    values = {
        "heading": _heading(found),
        "rows": tuple(_row(each) for each in found.findings) if found else (),
        "at": _moment(found),
        "age": span(visit.needs.clock.now() - found.at) if found else "",
        "is_running": examination.is_running,
    }
    return visit.show("health.html", "health", values)


async def run(visit: Visit) -> Response:
    """`POST /health`: examines the installation now."""
    await visit.needs.examination.run_now()
    return visit.go("/health")


def _moment(found: Examined | None) -> Moment | None:
    return moment_of(found.at) if found else None


def _heading(found: Examined | None) -> str:
    if found is None:
        return "The installation is being examined"
    wrong = sum(each.verdict is Verdict.WRONG for each in found.findings)
    return f"{NUMBERS[wrong] if wrong < len(NUMBERS) else f'{wrong} things are'} wrong"


def _row(finding: Finding) -> Row:
    tone, shape, word = VERDICTS[finding.verdict]
    return Row(
        check=finding.check.value.replace("_", " "),
        verdict=finding.verdict.value,
        tone=tone,
        shape=shape,
        word=word,
        about=finding.about,
        sentence=finding.sentence,
        fix=finding.fix,
    )


PAGES: Final = (Page(path="/health", get=show, post=run, needs=Right.OPERATE, needs_to_change=Right.OPERATE),)
