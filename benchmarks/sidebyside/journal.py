"""The journal of a run: one JSON object a line, so that a run that was interrupted goes on where it was."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def commit() -> str:
    """The short name of the commit, with `+` and a sum of the changes since; empty without git."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    name, changes = git("rev-parse", "--short=8", "HEAD"), git("diff", "HEAD", "--", "src", "benchmarks")
    return f"{name}+{hashlib.sha256(changes.encode()).hexdigest()[:4]}" if changes else name


def machine() -> str:
    """Processor, cores, system, interpreter."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, CPython {platform.python_version()}"


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"  # noqa: TID251  the time of a run is no argument


@dataclass(frozen=True, slots=True)
class Conditions:
    """What makes measurements comparable. Only rows of the same conditions are put together."""

    machine: str
    commit: str
    scale: float


class Journal:
    """Rows on disk."""

    def __init__(self, path: Path, conditions: Conditions) -> None:
        self._path = path
        self._conditions = {"machine": conditions.machine, "commit": conditions.commit, "scale": conditions.scale}
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        self.rows: list[dict[str, Any]] = [row for row in rows if self._conditions.items() <= row.items()]

    def has(self, **key: object) -> bool:
        """Whether a row with these values was written before."""
        return any(key.items() <= row.items() for row in self.rows)

    def write(self, row: Mapping[str, Any]) -> None:
        """Appends a row."""
        whole = {**self._conditions, "at": today(), **row}
        self.rows.append(whole)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(whole) + "\n")

    def of(self, **key: object) -> list[dict[str, Any]]:
        """The rows with these values."""
        return [row for row in self.rows if key.items() <= row.items()]


def values(rows: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    """The figures of one name."""
    return [row[name] for row in rows if row.get(name) is not None]
