"""The whole table of docs/performance.md in one run: sendryd on SQLite and on PostgreSQL beside Postfix and what else is installed.

    make bench                             # five rounds; writes the page, its figures and its plot
    make bench ROUNDS=1 SCALE=0.2          # a look: written to build/bench alone
    make bench MINUTES=40                  # starts nothing after 40 minutes; the next run of the same commit goes on from there

A peer that cannot run is named and skipped. In each round the peers of a scenario run right after one another, in an order that turns with the
rounds: only ratios of the same round count. `--again` forgets what earlier runs of the same commit, machine and scale have measured.
"""

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rest
from sidebyside.forms import NotMeant, Unavailable, make_credentials
from sidebyside.job import CACHE, Bench, Peer
from sidebyside.journal import ROOT, Conditions, Journal, commit, machine, today, values
from sidebyside.measuring import build_tools, measure, sync_rate
from sidebyside.others import Aiosmtpd, Exim, Haraka, OpenSmtpd, Postfix
from sidebyside.ours import Discarding, Prototype, Sendryd, SendrydPostgres, start_postgres
from sidebyside.page import is_look, page_text, put_between, write_figures
from sidebyside.plot import draw
from sidebyside.processes import Processes
from sidebyside.scenarios import OURS, SCENARIOS, Scenario

from sendryd.testing.process import RelayFailed

PEERS: tuple[Peer, ...] = (
    Postfix(signs=False), Postfix(signs=True), Sendryd(), SendrydPostgres(), Prototype(), Discarding(), Exim(), OpenSmtpd(), Haraka(), Aiosmtpd(),
)  # fmt: skip
PAGE, FIGURES, PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.json", ROOT / "docs" / "pictures" / "performance.svg"
REST_COUNT = 10_000
# One peer's bad end is named, and the rest of a long run goes on.
FAULTS = (OSError, ValueError, KeyError, RuntimeError, AssertionError, subprocess.SubprocessError, RelayFailed)


class Run:
    """One call of the program."""

    def __init__(self, options: argparse.Namespace, bench: Bench, journal: Journal) -> None:
        self._options, self._bench, self._journal = options, bench, journal
        self._deadline = time.monotonic() + options.max_minutes * 60
        self._unavailable: set[tuple[str, str]] = set()

    @property
    def is_over(self) -> bool:
        return bool(time.monotonic() > self._deadline)

    def all(self, peers: Sequence[Peer], scenarios: Sequence[Scenario]) -> None:
        """Every round of every scenario, as far as the time allows."""
        for number in range(1, self._options.rounds + 1):
            for scenario in scenarios:
                turn = (number - 1) % len(peers)
                for peer in (*peers[turn:], *peers[:turn]):
                    self._one(number, scenario, peer)
            for name, batch in (("rest", 0), ("rest-batch", 100)):
                for ours in OURS if not self._options.scenarios else ():
                    self._rest(number, name, ours, batch)

    def _one(self, number: int, scenario: Scenario, peer: Peer) -> None:
        key = {"round": number, "scenario": scenario.name, "peer": peer.name}
        is_known = (scenario.name, peer.name) in self._unavailable or self._journal.has(**key)
        if is_known or self.is_over or (scenario.peers and peer.name not in scenario.peers):
            return
        try:
            peer.check(scenario)
            self._write({**key, **measure(self._bench, peer, scenario.scaled(self._options.scale))})
        except NotMeant:
            self._unavailable.add((scenario.name, peer.name))
        except (Unavailable, *FAULTS) as error:
            self._unavailable.add((scenario.name, peer.name))
            print(f"{scenario.name} {peer.name}: not measured: {error}", file=sys.stderr, flush=True)
            if not self._journal.has(peer=peer.name, skipped=str(error)):
                self._journal.write({"peer": peer.name, "skipped": str(error)})

    def _rest(self, number: int, name: str, peer: str, batch: int) -> None:
        key = {"round": number, "scenario": name, "peer": peer}
        if self._journal.has(**key) or self.is_over:
            return
        count = round(REST_COUNT * self._options.scale)
        folder = Path(tempfile.mkdtemp(prefix="rest-", dir=self._bench.work))
        folder.chmod(0o755)
        server = None
        try:
            env = {}
            if peer == "sendryd-postgres":
                server, env["SENDRYD_DATABASE_URL"] = start_postgres(folder / "postgres", self._bench.server_cores)
            self._write({**key, **rest.measure(batch=batch, count=max(20, count // 50 if batch else count), is_pinned=True, env=env)})
        except (Unavailable, *FAULTS) as error:
            print(f"{name} {peer}: not measured: {error}", file=sys.stderr, flush=True)
        finally:
            if server is not None:
                server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def _write(self, row: Mapping[str, Any]) -> None:
        self._journal.write(row)
        print(
            f"round {row['round']} {row['scenario']:16} {row['peer']:18} {row['rate']:9,.0f}/s  {row['cpu_us']:7,.0f} us a message",
            flush=True,
        )


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the messages and seconds of each scenario")
    parser.add_argument("--max-minutes", type=float, default=180, help="start no measurement after that time")
    parser.add_argument("--scenarios", default="", help=f"some of: {', '.join(SCENARIOS)}; without REST then")
    parser.add_argument("--peers", default="", help=f"some of: {', '.join(peer.name for peer in PEERS)}")
    parser.add_argument("--again", action="store_true", help="forget earlier measurements")
    parser.add_argument("--publish", action="store_true", help="write docs/ even after a look")
    parser.add_argument("--work", type=Path, default=None, help="a folder on the disk to measure; default: that of temporary files")
    return parser.parse_args()


def chosen(names: str, known: Mapping[str, Any]) -> list[Any]:
    """Those that are named; all without a name."""
    wanted = [name for name in names.split(",") if name]
    if unknown := set(wanted) - set(known):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[name] for name in wanted or known]


def publish(options: argparse.Namespace, journal: Journal, disk: Mapping[str, float]) -> None:
    """Writes tables, figures and plot: into docs/ after a full run, else beside the journal."""
    rows = [row for row in journal.rows if row.get("scenario") or row.get("skipped") or row.get("growth")]
    rounds = max((row["round"] for row in rows if row.get("scenario")), default=0)
    meta: dict[str, Any] = {
        "machine": machine(),
        "date": today(),
        "commit": commit(),
        "command": " ".join(["python", "benchmarks/bench.py", *sys.argv[1:]]),
        "rounds": rounds,
        "scale": options.scale,
        "disk": disk,
        "other_cores": statistics.median(values(rows, "other_cores") or [0.0]),
    }
    does_publish = options.publish or not is_look(rounds, options.scale)
    caption = f"{meta['date']}, commit {meta['commit']}, {rounds} rounds at scale {options.scale:g}, medians"
    plot, figures = (PLOT, FIGURES) if does_publish else (CACHE / "performance.svg", CACHE / "performance.json")
    text = page_text(rows, meta, "pictures/performance.svg" if does_publish else "performance.svg")
    plot.write_text(draw(rows, caption), "utf-8")
    write_figures(figures, rows, meta)
    if does_publish:
        put_between(PAGE, "table of make bench", text)
    else:
        (CACHE / "performance.md").write_text(text, "utf-8")
    print(f"\n{text}\nWritten: {figures}, {plot}" + (f", {PAGE}" if does_publish else f", {CACHE / 'performance.md'}"))


def main() -> int:
    """Measures and writes."""
    options = read_options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    peers = chosen(options.peers, {peer.name: peer for peer in PEERS})
    scenarios = chosen(options.scenarios, SCENARIOS)
    journal_path = CACHE / "journal.jsonl"
    if options.again:
        journal_path.unlink(missing_ok=True)
    journal = Journal(journal_path, Conditions(machine(), commit(), options.scale))
    work = Path(tempfile.mkdtemp(prefix="sendryd-bench-", dir=options.work))
    work.chmod(0o755)  # Postfix and PostgreSQL run as other users
    processes = Processes()
    try:
        bench = Bench(work, make_credentials(work / "credentials"), processes, {0}, {1}, build_tools())
        disk = sync_rate(bench)
        print(f"{machine()}\n{disk['syncs_per_s']:,.0f} synced appends of 5 KB a second in {work}", flush=True)
        Run(options, bench, journal).all(peers, scenarios)
        publish(options, journal, disk)
    except (Unavailable, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        processes.end_all()
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
