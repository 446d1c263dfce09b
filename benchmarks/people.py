"""What people who look at the dashboard cost the door: mail is accepted with and without them, in turn, by one program.

    python benchmarks/people.py                            # SMTP and REST, 8 pairs of rounds each: 5 minutes on 2 cores
    python benchmarks/people.py --pin                      # the server on one core, load and readers on another
    python benchmarks/people.py --only smtp --messages 2000 --pairs 3

`smtp`: 5 KB messages over 20 connections that stay open. `rest`: `POST /v1/emails` with 5 KB, over 20 connections that stay open. With people:
five have Home open and one follows Emails; each has a stream of its own, read by a process of its own. The order of a pair is swapped each time.
The figure is the rate with people in parts of the rate without, of each pair; the goal is 97 %. The program also follows mail into its figures
and its search index in both rounds, else the pages would show nothing new.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from accept import cpu_seconds, load_command
from machine import describe
from pages import Reader

from sendryd.testing.world import World

HERE = Path(__file__).parent
WATCHED = {"/live?page=home": 5, "/live?page=emails": 1}  # streams by address
ROLES = "smtp,http,upkeep"
DOORS = ("smtp", "rest")
WARM = 400  # messages before the first round
SERVER_CORE, LOAD_CORE = "0", "1"


@dataclass(frozen=True)
class Round:
    """One round."""

    rate: float  # messages a second
    spent: float  # the server's CPU, microseconds a message
    seen: int = 0  # messages that all streams received


class Bench:
    """The program, its load and its readers."""

    def __init__(self, world: World, *, is_pinned: bool) -> None:
        self._world = world
        self._pinned = ["taskset", "-c", LOAD_CORE] if is_pinned else []
        self._cookie = Reader(world.relay.ready).cookie
        if is_pinned:
            for thread in Path(f"/proc/{world.relay.process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {int(SERVER_CORE)})

    def load(self, door: str, count: int) -> float:
        """Submits so many messages. Returns the rate."""
        if door == "smtp":
            command = [*load_command(self._world), "--messages", str(count)]
        else:
            command = [sys.executable, str(HERE / "rest.py"), "--load", "--url", self._world.relay.ready["http"]]
            command += ["--key", self._world.live_key, "--count", str(count)]
        done = subprocess.run([*self._pinned, *command], check=True, stdout=subprocess.PIPE)
        return float(json.loads(done.stdout)["rate"])

    @contextmanager
    def watching(self) -> Iterator[list[int]]:
        """People look at pages. At the end the list has the number of messages that all their streams received."""
        command = [*self._pinned, sys.executable, __file__, "--watch", self._world.relay.ready["http"]]
        seen: list[int] = []
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "COOKIE": self._cookie}) as people:
            assert people.stdin
            assert people.stdout
            assert people.stdout.readline() == b"open\n"
            yield seen
            people.stdin.close()
            seen.append(int(people.stdout.readline()))

    def run(self, door: str, count: int, *, has_people: bool) -> Round:
        """One round."""
        if not has_people:
            return self._measure(door, count)
        with self.watching() as seen:
            found = self._measure(door, count)
        return Round(found.rate, found.spent, seen[0])

    def _measure(self, door: str, count: int) -> Round:
        before = cpu_seconds(self._world.relay)
        rate = self.load(door, count)
        return Round(rate, (cpu_seconds(self._world.relay) - before) / count * 1e6)


def measure(door: str, *, pairs: int, count: int, is_pinned: bool) -> None:
    """Pairs of rounds on a fresh program."""
    env = {"SENDRYD_LOG_LEVEL": "error", "SENDRYD_API_RATE_LIMIT": "off"}
    with World(env=env, args=("--role", ROLES)) as world:
        bench = Bench(world, is_pinned=is_pinned)
        bench.load(door, WARM)
        alone: list[Round] = []
        watched: list[Round] = []
        for number in range(pairs):
            for has_people in (False, True) if number % 2 == 0 else (True, False):
                (watched if has_people else alone).append(bench.run(door, count, has_people=has_people))
            print(f"{door}: {number + 1} of {pairs} pairs", file=sys.stderr, flush=True)
    rates = [one.rate / other.rate for one, other in zip(watched, alone, strict=True)]
    costs = [one.spent / other.spent for one, other in zip(watched, alone, strict=True)]
    print(
        f"{door}: {middle(alone, 'rate'):.0f} messages/s without people, {middle(watched, 'rate'):.0f} with; "
        f"ratio of a pair {statistics.median(rates):.1%}, from {min(rates):.1%} to {max(rates):.1%} in {pairs}; "
        f"server {middle(alone, 'spent'):.0f} and {middle(watched, 'spent'):.0f} us CPU per message, ratio {statistics.median(costs):.3f}; "
        f"{sum(each.seen for each in watched)} messages to {sum(WATCHED.values())} streams",
        flush=True,
    )


def middle(rounds: list[Round], name: str) -> float:
    """The median of a figure."""
    return float(statistics.median(getattr(each, name) for each in rounds))


def watch(origin: str) -> None:
    """Opens the streams, says so, reads them until the standard input ends, and prints how many messages came."""
    host, cookie = origin.rstrip("/").rpartition("/")[2], os.environ["COOKIE"]
    counts: list[int] = []

    def read(stream: HTTPResponse, place: int) -> None:
        while line := stream.readline():
            counts[place] += line.startswith(b"id:")

    for path, number in WATCHED.items():
        for _ in range(number):
            connection = HTTPConnection(host)
            connection.request("GET", path, headers={"Cookie": cookie, "Accept": "text/event-stream"})
            stream = connection.getresponse()
            assert stream.status == 200, f"{path} is answered {stream.status}"
            counts.append(0)
            threading.Thread(target=read, args=(stream, len(counts) - 1), daemon=True).start()
    print("open", flush=True)
    sys.stdin.read()
    print(sum(counts), flush=True)


def main() -> None:
    """The benchmark, or its people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=DOORS)
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--messages", type=int, default=5_000, help="of each round")
    parser.add_argument("--watch", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.watch:
        watch(given.watch)
        return
    print(describe())
    for door in [given.only] if given.only else DOORS:
        measure(door, pairs=given.pairs, count=given.messages, is_pinned=given.pin)


if __name__ == "__main__":
    main()
