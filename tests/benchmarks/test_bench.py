"""`benchmarks/bench.py` measures a server with its own load source, and writes what it found; no longer than it may."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.sockets, pytest.mark.needs("go")]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The benchmarks and what they write, so that a test leaves no journal and changes no page."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT / "benchmarks", root / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "docs" / "pictures").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "performance.md", root / "docs")
    return root


def start(copy: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(copy / "benchmarks" / "bench.py"), *arguments]
    return subprocess.run(command, env={**os.environ, "TMPDIR": str(copy), **env}, capture_output=True, text=True, timeout=280, check=False)


def run(copy: Path, *arguments: str) -> str:
    done = start(copy, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_look_measures_the_prototype_and_goes_on_from_there(copy: Path) -> None:
    few = ("--rounds", "1", "--scale", "0.002", "--scenarios", "reused", "--peers", "prototype")
    first = run(copy, *few)
    assert "round 1 reused" in first
    figures = json.loads((copy / "build" / "bench" / "performance.json").read_text("utf-8"))
    (measured,) = figures["measurements"]
    assert measured["acked"] >= 20
    assert measured["errors"] == 0
    assert measured["cpu_us"] > 0
    assert (copy / "docs" / "performance.md").read_text("utf-8") == (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert "round 1 reused" not in run(copy, *few)
    assert "round 2 reused" in run(copy, *few, "--rounds", "2", "--publish")
    assert "**A look, not a measurement**" in (copy / "docs" / "performance.md").read_text("utf-8")


def test_nothing_is_started_once_the_time_is_over(copy: Path) -> None:
    output = run(copy, "--rounds", "1", "--scale", "0.002", "--max-minutes", "0")
    assert "not measured" in output
    assert "round 1" not in output


def test_without_go_the_run_says_what_to_install(copy: Path) -> None:
    programs = copy / "programs"
    programs.mkdir()
    for name in ("git", "openssl"):
        (programs / name).symlink_to(str(shutil.which(name)))
    done = start(copy, "--rounds", "1", PATH=str(programs))
    assert done.returncode == 1
    assert done.stderr == "bench: go is not installed (Debian package golang-go; the load source is in Go)\n"
