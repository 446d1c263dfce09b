"""How fast the real program takes mail: durable accept over STARTTLS and AUTH, and end to end to a receiving server.

    python benchmarks/accept.py                        # all scenarios
    python benchmarks/accept.py reused end-to-end      # some of them

`reused`: 5 KB messages over 20 connections that stay open. `forgotten`: the same with a store that keeps nothing, which is the bound.
`fresh`: a new connection and handshake for each. `large`: 1 MB messages. `end-to-end`: until the receiving server has them, each with an
RSA-2048 DKIM signature; `end-to-end-100k` with messages of 100 KB. `log`: as `reused`, two servers in turn, with the mail log and without it.
The load source is a process of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import describe

from sendryd.testing.process import RelayProcess
from sendryd.testing.world import World

HERE = Path(__file__).parent
SCENARIOS = {
    "reused": ["--messages", "20000"],
    "forgotten": ["--messages", "20000"],
    "fresh": ["--messages", "3000", "--fresh"],
    "large": ["--messages", "300", "--size", "1000000"],
    "end-to-end": ["--messages", "4000"],
    "end-to-end-100k": ["--messages", "2000", "--size", "100000"],
}
LOG_PAIRS = 9


def cpu_seconds(relay: RelayProcess) -> float:
    """User and system time of the server so far."""
    fields = Path(f"/proc/{relay.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(relay: RelayProcess) -> str:
    """Resident memory of the server."""
    status = Path(f"/proc/{relay.process.pid}/status").read_text(encoding="ascii")
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return f"{kilobytes / 1024:.0f} MB"


def measure(scenario: str) -> None:
    """Runs one scenario on a fresh server and prints its figures."""
    does_deliver = scenario.startswith("end-to-end")
    args = () if does_deliver else ("--role", "smtp,http")
    made = World(env={"SENDRYD_LOG_LEVEL": "error"}, args=args)
    if scenario == "forgotten":
        made.relay.program = [sys.executable, str(HERE / "forgetful.py")]
    with made as world:
        world.mailhost.does_keep = False
        command = load_command(world)
        subprocess.run([*command, "--messages", "200"], check=True, capture_output=True)
        if does_deliver:
            world.wait_until(lambda: len(world.mailhost.mails) >= 200)
        before, started = cpu_seconds(world.relay), time.perf_counter()
        done = subprocess.run([*command, *SCENARIOS[scenario]], check=True, capture_output=True)
        result = json.loads(done.stdout)
        count = result["messages"]
        text = f"{result['rate']}/s acknowledged, p50 {result['p50_ms']} ms, p99 {result['p99_ms']} ms"
        if does_deliver:
            world.wait_until(lambda: len(world.mailhost.mails) >= 200 + count, timeout=120)
            text += f", {count / (time.perf_counter() - started):.0f}/s end to end"
        spent = (cpu_seconds(world.relay) - before) / count * 1e6
        print(f"{scenario:15}  {text}, server {spent:.0f} us CPU per message, {memory(world.relay)}")


def load_command(world: World) -> list[str]:
    """The load source, without the number of messages."""
    host, port = world.relay.smtp
    command = [sys.executable, str(HERE / "load.py"), "--host", host, "--port", str(port)]
    return [*command, "--key", world.live_key, "--cert", str(world.relay.cert)]


def spend(world: World, messages: int) -> float:
    """The server's CPU time for a message, in microseconds."""
    before = cpu_seconds(world.relay)
    subprocess.run([*load_command(world), "--messages", str(messages)], check=True, capture_output=True)
    return (cpu_seconds(world.relay) - before) / messages * 1e6


def measure_log() -> None:
    """Loads two servers in turn, one with the mail log, and prints what the log costs: it may be 3 % of all."""
    args = ("--role", "smtp,http")
    with World(env={"SENDRYD_LOG_LEVEL": "info"}, args=args) as logging, World(env={"SENDRYD_LOG_LEVEL": "error"}, args=args) as silent:
        for world in (logging, silent):
            spend(world, 400)
        on: list[float] = []
        off: list[float] = []
        for number in range(LOG_PAIRS):
            for world in (logging, silent) if number % 2 else (silent, logging):
                (on if world is logging else off).append(spend(world, 2000))
    ratios = [one / other for one, other in zip(on, off, strict=True)]
    print(
        f"{'log':15}  server {statistics.median(on):.0f} us CPU per message with the mail log, {statistics.median(off):.0f} without; "
        f"ratio of a pair {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f} in {LOG_PAIRS}"
    )


def main() -> None:
    """Prints the machine, the command, and one line for each scenario."""
    print(describe())
    for scenario in sys.argv[1:] or [*SCENARIOS, "log"]:
        if scenario == "log":
            measure_log()
        else:
            measure(scenario)


if __name__ == "__main__":
    main()
