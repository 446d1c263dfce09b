"""What a message costs PostgreSQL and the network, from accepting to the outcome: WAL, rows, octets on disk, commits, octets on the wire.

    python benchmarks/footprint.py [--messages 2000] [--size 5000]

The figures are differences over the whole run divided by its messages, after a checkpoint: the first change of a page after one puts the whole page
into the WAL, as in a server of a long life. Contents are a repeated line, which PostgreSQL compresses. `docs/explanation/capacity.md` takes the
figures from here.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
from accept import cpu_seconds, load_command
from machine import describe
from sidebyside.ours import start_postgres

from sendryd.testing.world import World

COUNTERS = """
SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS wal, pg_database_size(current_database()) AS disk,
       (SELECT coalesce(sum(n_tup_ins), 0) FROM pg_stat_user_tables) AS inserted,
       (SELECT coalesce(sum(n_tup_upd), 0) FROM pg_stat_user_tables) AS updated,
       (SELECT coalesce(sum(n_tup_del), 0) FROM pg_stat_user_tables) AS deleted,
       (SELECT coalesce(sum(n_live_tup), 0) FROM pg_stat_user_tables) AS live,
       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits
"""


async def read_counters(url: str, *, checkpoint: bool = False) -> dict[str, float]:
    """The counters of the server, as late as its statistics are."""
    connection = await asyncpg.connect(url)
    try:
        if checkpoint:
            await connection.execute("CHECKPOINT")
        await asyncio.sleep(1.5)  # sessions report what they have done within a second
        row = await connection.fetchrow(COUNTERS)
        return {name: float(value) for name, value in dict(row or {}).items()}
    finally:
        await connection.close()


def loopback() -> int:
    """Octets that have gone over the loopback interface."""
    line = next(line for line in Path("/proc/net/dev").read_text(encoding="ascii").splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[1])


def measure(messages: int, size: int) -> dict[str, Any]:
    """Sends messages through one node on a PostgreSQL of its own."""
    folder = Path(tempfile.mkdtemp(prefix="footprint-"))
    folder.chmod(0o755)
    server, url = start_postgres(folder / "postgres")
    try:
        with World(env={"SENDRYD_LOG_LEVEL": "error", "SENDRYD_DATABASE_URL": url}) as world:
            world.mailhost.does_keep = False
            command = [*load_command(world), "--size", str(size), "--messages"]
            subprocess.run([*command, "200"], check=True, capture_output=True)
            world.wait_until(lambda: len(world.mailhost.mails) >= 200, timeout=120)
            before, wire, spent = asyncio.run(read_counters(url, checkpoint=True)), loopback(), cpu_seconds(world.relay)
            subprocess.run([*command, str(messages)], check=True, capture_output=True)
            world.wait_until(lambda: len(world.mailhost.mails) >= 200 + messages, timeout=300)
            after = asyncio.run(read_counters(url))
            found = {name: round((after[name] - before[name]) / messages, 3) for name in after}
            return {
                "messages": messages,
                "size": size,
                **found,
                "wire": round((loopback() - wire) / messages),  # submission, delivery and the database's connections together
                "cpu_us": round((cpu_seconds(world.relay) - spent) / messages * 1e6),
            }
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Prints the figures of one message."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--size", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.messages, options.size)
    if options.json:
        print(json.dumps(found))
        return
    print(describe())
    for name, value in found.items():
        print(f"{name:10} {value:,}")


if __name__ == "__main__":
    main()
