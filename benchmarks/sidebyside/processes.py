"""Processes of a benchmark: starts the programs of a server, adds up their CPU time and memory with all children, ends them.

Figures come from proc(5). The CPU time of a child that has ended is in its parent once that has waited for it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

TICKS = os.sysconf("SC_CLK_TCK")
PARENT, USED = 1, slice(11, 15)  # of the fields in /proc/PID/stat after the name: the parent; own and children's time, user and system
BUSY = (0, 1, 2, 5, 6, 7)  # of the figures in /proc/stat: user, nice, system, both kinds of interrupts, stolen
KEEPER = Path(__file__).with_name("keeper.py")


def family(*roots: int) -> dict[int, float]:
    """These processes and their descendants, with the CPU seconds of each."""
    used, children = dict[int, float](), dict[int, list[int]]()
    for entry in os.scandir("/proc"):
        with suppress(ValueError, OSError):
            number = int(entry.name)
            fields = Path(entry.path, "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            used[number] = sum(map(int, fields[USED])) / TICKS
            children.setdefault(int(fields[PARENT]), []).append(number)
    members = [*roots]
    for each in members:  # grows meanwhile
        members += children.get(each, ())
    return {each: used[each] for each in members if each in used}


def cpu_seconds(*roots: int) -> float:
    """CPU time of processes and all their descendants."""
    return sum(family(*roots).values())


def machine_seconds() -> float:
    """CPU time of everything on the machine."""
    with open("/proc/stat", encoding="ascii") as file:
        figures = file.readline().split()[1:]
    return sum(int(figures[each]) for each in BUSY) / TICKS


def on_cores(cores: Collection[int] | None, *command: object) -> list[str]:
    """A command that runs on these cores; None: on all."""
    pinned = ["taskset", "--cpu-list", ",".join(map(str, cores))] if cores else []
    return [*pinned, *map(str, command)]


class Processes:
    """The programs of the server that is measured."""

    def __init__(self) -> None:
        self._keepers: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: list[str], folder: Path, env: Mapping[str, str], output: IO[str], errors: IO[str]
    ) -> "subprocess.Popen[bytes]":
        """Starts a program below a keeper, whose process is returned: it ends once the program and all its children have."""
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", KEEPER, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, **env},
            cwd=folder,
        )
        self._keepers.append(keeper)
        return keeper

    def cpu_seconds(self) -> float:
        return cpu_seconds(*(keeper.pid for keeper in self._keepers))

    def memory(self) -> int:
        """Proportional set size in octets."""
        keepers = {keeper.pid for keeper in self._keepers}
        total = 0
        for each in family(*keepers).keys() - keepers:
            with suppress(OSError, StopIteration), open(f"/proc/{each}/smaps_rollup", encoding="ascii") as file:
                total += 1024 * next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        return total

    def end_all(self) -> None:
        """Asks all programs to end; kills those that have not after 30 seconds."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + 30
        for keeper in self._keepers:
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(max(0, deadline - time.monotonic()))
        while any(keeper.poll() is None for keeper in self._keepers):
            self._signal(signal.SIGKILL)
            time.sleep(0.1)
        self._keepers.clear()

    def _signal(self, number: int) -> None:
        keepers = {keeper.pid for keeper in self._keepers}
        for each in family(*keepers).keys() - keepers:
            with suppress(ProcessLookupError):
                os.kill(each, number)
