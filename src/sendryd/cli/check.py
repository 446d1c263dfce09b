"""`sendryd check`: examines the installation and says for each fault what to change."""

import asyncio
from contextlib import suppress
from typing import Final, TypedDict

import typer

from sendryd.app.settings import SettingsError
from sendryd.cli.options import Json
from sendryd.cli.output import FAILED, WRONG_USAGE, fail, print_json, say
from sendryd.cli.settings import read_settings
from sendryd.policy.health import Finding, Verdict, is_sound

app = typer.Typer(add_completion=False)

_MARKS: Final = {Verdict.WRONG: "wrong", Verdict.UNKNOWN: "unknown", Verdict.ADVISED: "advised", Verdict.RIGHT: "right"}


class FindingDocument(TypedDict):
    """One finding, as `--json` prints it."""

    check: str
    verdict: str
    about: str | None
    sentence: str
    fix: str | None


class CheckDocument(TypedDict):
    """All findings, as `--json` prints them."""

    sound: bool
    data: list[FindingDocument]
    has_more: bool


@app.command()
def check(as_json: Json = False) -> None:
    """Examine the installation: DNS, PTR, port 25, certificate, disk, clock, database. Exit status 1 if something is wrong."""
    from sendryd.app.health import examine

    settings = read_settings()
    try:
        findings = asyncio.run(examine(settings))
    except SettingsError as error:
        fail(str(error), WRONG_USAGE)
    if as_json:
        print_json(CheckDocument(sound=is_sound(findings), data=[_document(each) for each in findings], has_more=False))
    else:
        _print(findings)
    _say_sum(findings)
    if not is_sound(findings):
        raise typer.Exit(FAILED)


def _document(finding: Finding) -> FindingDocument:
    return FindingDocument(
        check=finding.check.value,
        verdict=finding.verdict.value,
        about=finding.about or None,
        sentence=finding.sentence,
        fix=finding.fix or None,
    )


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        typer.echo(f"{_MARKS[finding.verdict]:8} {_plain(finding.sentence)}")
        if finding.fix:
            typer.echo(f"{'':8} → {_plain(finding.fix)}")


def _say_sum(findings: list[Finding]) -> None:
    wrong = sum(each.verdict is Verdict.WRONG for each in findings)
    with suppress(BrokenPipeError):
        say("Nothing is wrong." if not wrong else "1 thing is wrong." if wrong == 1 else f"{wrong} things are wrong.")


def _plain(text: str) -> str:
    """Without control characters: DNS answers of strangers are among the words."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
