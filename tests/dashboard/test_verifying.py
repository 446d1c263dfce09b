"""The code that verifies signatures runs, and tells right from wrong."""

import subprocess

import pytest

from sendryd.dashboard.verifying import EXAMPLE_SECRET, example, verifying
from sendryd.runtime.clock import SystemClock

LANGUAGES = ("Python", "Node.js", "Go", "Java", "Perl", "Shell")
PROGRAMS = {"Node.js": "node", "Go": "go", "Java": "java", "Perl": "perl", "Shell": "openssl"}


def run(name: str, age: int = 0, change: tuple[str, str] = ("", "")) -> tuple[int, str]:
    """The exit status and what is printed."""
    shown = example(EXAMPLE_SECRET, int(SystemClock().now().timestamp()) - age)
    lines = (
        next(each.lines for each in verifying(shown) if each.name == name).replace(*change)
        if change[0]
        else next(each.lines for each in verifying(shown) if each.name == name)
    )
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_there_is_code_for_six_languages() -> None:
    assert tuple(each.name for each in verifying(example(EXAMPLE_SECRET, 1))) == LANGUAGES


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.needs(PROGRAMS[each])] if each in PROGRAMS else []) for each in LANGUAGES]
)
def test_each_piece_runs_and_refuses_what_is_forged_or_old(name: str) -> None:
    status, said = run(name)
    assert (status, said.startswith("The signature is right:"), "email.delivered" in said) == (0, True, True), said
    for forged in (run(name, change=("user@", "eve@")), run(name, age=400)):
        assert forged[0] != 0
        assert "The signature is wrong." in forged[1]
