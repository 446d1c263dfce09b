"""How cost grows: for a message with the length of the queue, for a connection with their number, for a message with the number of nodes.

    make bench-growth                        # a queue up to 1,000,000, connections up to 10,000, nodes up to 3; writes docs/performance.md
    make bench-growth MOST=10000             # a look: nothing longer than that, written to build/bench alone
    make bench-growth MINUTES=20             # starts nothing after 20 minutes; the next run of the same commit goes on from there

Nodes are processes of one machine on one PostgreSQL. With two cores they cannot take more mail than one: database, load source and next hop work on the
same cores. What counts there is the processor time for each message, of the program and of the database.
"""

import argparse
import asyncio
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accept import cpu_seconds, load_command
from load import Client
from memory import resident
from sidebyside.forms import Unavailable, make_credentials
from sidebyside.job import CACHE, Bench
from sidebyside.journal import ROOT, Conditions, Journal, commit, machine, today
from sidebyside.measuring import build_tools, measure
from sidebyside.ours import Nodes
from sidebyside.page import put_between, table
from sidebyside.processes import Processes
from sidebyside.scenarios import SCENARIOS

from sendryd.testing.world import World

HERE = Path(__file__).parent
QUEUES, CONNECTIONS, NODES = (1000, 100_000, 1_000_000), (10, 1000, 10_000), (1, 2, 3)
AT_ONCE = 50  # connections that are opened at a time
SPARE_FILES = 200  # descriptors that client and server need for other things

Row = dict[str, Any]


def measure_queue(number: int, scale: float) -> Row:
    """The cost of a message in the store of a process of its own."""
    command = [sys.executable, str(HERE / "store.py"), "--json", "--queued", str(number), "--messages", str(round(8000 * scale))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"peer": "sendryd", **json.loads(done.stdout.splitlines()[-1])}


def measure_connections(number: int, scale: float) -> Row:
    """Memory and processor time of idle, logged in TLS connections, and what a message costs while they are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if number + SPARE_FILES > hard:
        raise Unavailable(f"a process may open {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number + SPARE_FILES), hard))
    limits = {f"SENDRYD_SMTP_MAX_CONNECTIONS{name}": str(number + 100) for name in ("", "_PER_ADDRESS")}
    with World(env={"SENDRYD_LOG_LEVEL": "error", **limits}, args=("--role", "smtp,http")) as world:
        subprocess.run([*load_command(world), "--messages", "400"], check=True, capture_output=True)
        return asyncio.run(_hold(world, number, max(200, round(4000 * scale))))


async def _hold(world: World, number: int, messages: int) -> Row:
    host, port = world.relay.smtp
    clients = [Client(host, port, world.live_key, str(world.relay.cert), b"") for _ in range(number)]
    before, memory = cpu_seconds(world.relay), resident(world.relay)
    for start in range(0, number, AT_ONCE):
        await asyncio.gather(*(client.open() for client in clients[start : start + AT_ONCE]))
    opened, held = cpu_seconds(world.relay), resident(world.relay)
    load = await asyncio.create_subprocess_exec(*load_command(world), "--messages", str(messages), stdout=subprocess.DEVNULL)
    await load.wait()
    spent = cpu_seconds(world.relay) - opened
    for client in clients:
        client.close()
    return {
        "each_kb": round((held - memory) / number, 1),
        "open_us": round((opened - before) / number * 1e6),
        "cpu_us": round(spent / messages * 1e6),
        "memory_mb": round(held / 1024),
    }


def measure_nodes(number: int, scale: float) -> Row:
    """Messages end to end through several processes on one PostgreSQL."""
    work = Path(tempfile.mkdtemp(prefix="sendryd-nodes-"))
    work.chmod(0o755)
    try:
        bench = Bench(work, make_credentials(work / "credentials"), Processes(), {0}, {1}, build_tools())
        peer = Nodes(number)
        peer.check(SCENARIOS["end-to-end"])
        return measure(bench, peer, SCENARIOS["end-to-end"].scaled(scale))
    finally:
        shutil.rmtree(work, ignore_errors=True)


STEPS: tuple[tuple[str, tuple[int, ...], Callable[[int, float], Row]], ...] = (
    ("nodes", NODES, measure_nodes),
    ("connections", CONNECTIONS, measure_connections),
    ("queue", QUEUES, measure_queue),
)


def figures(row: Mapping[str, Any], *names: str) -> list[str]:
    """Cells of a table."""
    return [f"{row[name]:,.0f}" if row.get(name) is not None else "" for name in names]


def page_text(journal: Journal, command: str) -> str:
    """What is written between the markers: a table for each kind."""

    def lines(kind: str, *names: str) -> list[list[str]]:
        return [[f"{row['number']:,}", *figures(row, *names)] for row in sorted(journal.of(growth=kind), key=lambda row: row["number"])]

    text = f"Written by `{command}` on {today()}, commit {commit()}. {machine()}. One run of each.\n"
    queue, connections, nodes = (
        lines("queue", "accept", "claim", "record", "cost", "peak_mb"),
        lines("connections", "each_kb", "open_us", "cpu_us", "memory_mb"),
        lines("nodes", "rate", "cpu_us", "database_cpu_us", "peak_mb"),
    )
    if queue:
        head = ("queued", "accept, CPU µs", "claim, CPU µs", "outcome, CPU µs", "a message in all", "peak MB of store and callers")
        text += f"\nA message in the store, by the length of the queue (SQLite):\n\n{table(head, queue)}"
    if connections:
        held = (
            "idle connections",
            "KB each",
            "CPU µs to open one: TLS and login",
            "CPU µs for a message of 20 others meanwhile",
            "MB in all",
        )
        text += f"\nA submission connection, logged in over TLS:\n\n{table(held, connections)}"
    if nodes:
        many = ("nodes", "messages/s", "CPU µs a message, database included", "of it the database", "MB of all nodes")
        text += f"\nA message end to end, by the number of nodes on one PostgreSQL:\n\n{table(many, nodes)}"
        text += (
            "\nNodes, database, load source and next hop share the cores of this machine, so another node adds no rate; what it adds to the processor time "
            "for each message is the price of working together.\n"
        )
    missing = dict.fromkeys(f"{row['skipped_growth']}: {row['reason']}" for row in journal.rows if row.get("skipped_growth"))
    return text + "".join(f"\nNot measured: {each}.\n" for each in missing)


def main() -> None:
    """Measures what the journal does not have, and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=max(QUEUES), help="the longest queue and the most connections")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the messages of each measurement")
    parser.add_argument("--max-minutes", type=float, default=60, help="start no measurement after that time")
    parser.add_argument("--kinds", default="", help=f"some of: {', '.join(name for name, _, _ in STEPS)}")
    parser.add_argument("--publish", action="store_true", help="write docs/ even after a look")
    options = parser.parse_args()
    journal = Journal(CACHE / "journal.jsonl", Conditions(machine(), commit(), options.scale))
    deadline = time.monotonic() + options.max_minutes * 60
    for kind, numbers, step in STEPS:
        for number in numbers if not options.kinds or kind in options.kinds.split(",") else ():
            if number > options.most or journal.has(growth=kind, number=number) or time.monotonic() > deadline:
                continue
            try:
                row = {"growth": kind, "number": number, **step(number, options.scale)}
            except (Unavailable, subprocess.SubprocessError, OSError) as error:
                print(f"{kind} {number:,}: not measured: {error}", file=sys.stderr, flush=True)
                journal.write({"skipped_growth": f"{kind} {number:,}", "reason": str(error)})
                continue
            journal.write(row)
            print({key: row[key] for key in row if not isinstance(row[key], dict)}, flush=True)
    text = page_text(journal, " ".join(["python", "benchmarks/growth.py", *sys.argv[1:]]))
    is_full = options.scale >= 1 and options.most >= max(QUEUES) and not options.kinds
    if options.publish or is_full:
        put_between(ROOT / "docs" / "performance.md", "growth", text)
    else:
        (CACHE / "growth.md").write_text(text, "utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    main()
