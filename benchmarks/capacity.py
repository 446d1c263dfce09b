"""How many nodes, how much database and network a number of messages a day needs, from what a message costs; and the same sizes simulated.

    python benchmarks/capacity.py                          # the arithmetic alone
    python benchmarks/capacity.py --simulate --seconds 60  # and a minute of the peak of each size, by the program's own delivery engine
    python benchmarks/capacity.py --simulate --write       # both into docs/explanation/capacity.md

Costs come from docs/performance.json if a full run of `make bench` is in it, else they are estimates, and the page says so. Simulations that were
made before with the same program are taken from `build/bench/journal.jsonl`; `--max-minutes` bounds the others.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sidebyside.job import CACHE
from sidebyside.journal import ROOT, Conditions, Journal, commit, machine, today
from sidebyside.page import put_between, table
from simulation import DAY, PROVIDERS, Plan, rules_of, simulate

from sendryd.delivery.places import LAST_PLACES, MAX_ATTEMPTS
from sendryd.policy.shaping.rules import site_of

SIZES = (1e6, 10e6, 100e6)  # messages a day
PEAK = 3.0  # times the average of the day
NODE_TARGET, DATABASE_TARGET = 0.6, 0.5  # load at the peak: room for the mail of a lost node, for retries, vacuum and people
PAGE = ROOT / "docs" / "explanation" / "capacity.md"


@dataclass(frozen=True, slots=True)
class Costs:
    """What one message of 5 KB to one recipient costs, from accepting to the outcome, on PostgreSQL."""

    accept_us: float = 350.0  # processor time of the process that takes it
    deliver_us: float = 1000.0  # and of the one that delivers it, signature included
    database_us: float = 460.0  # of the database, for both
    wal: float = 9_900.0  # octets
    disk: float = 8_100.0  # octets that stay for as long as history is kept
    rows: float = 10.2  # inserted or updated
    commits: float = 2.2  # at low load; in a commit there are more messages the busier it is
    wire: float = 28_700.0  # octets, in and out, the database's connections included
    size: float = 5_000.0  # of its content
    source: str = (
        "Estimates: processor times are the SQLite figures of the machine of *Next to Postfix* in performance.md (852 µs end to end), times the ratio "
        "of PostgreSQL to SQLite in a look of 30 November 2026 (1.6 for the program, and 0.34 of that more for the database); the others are "
        "of `python benchmarks/footprint.py --messages 600` of the same day. A full run of `make bench` replaces the processor times"
    )


def read_costs(path: Path) -> Costs:
    """The estimates, or the processor times of a full run."""
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if found.get("rounds", 0) < 5 or found.get("scale", 0) < 1:
        return Costs()

    def median(scenario: str, name: str) -> float | None:
        rows = [row for row in found["measurements"] if (row.get("scenario"), row.get("peer")) == (scenario, "sendryd-postgres")]
        values = sorted(row[name] for row in rows if row.get(name) is not None)
        return values[len(values) // 2] if values else None

    accept, whole = median("reused", "cpu_us"), median("end-to-end", "cpu_us")
    accept_base, whole_base = median("reused", "database_cpu_us"), median("end-to-end", "database_cpu_us")
    if accept is None or whole is None or accept_base is None or whole_base is None:
        return Costs()
    taking = accept - accept_base
    source = f"Processor times of `make bench` on {found['date']}, commit {found['commit']}, {found['machine']}; the others are estimates of 30 November 2026"
    return replace(Costs(), accept_us=taking, deliver_us=whole - whole_base - taking, database_us=whole_base, source=source)


@dataclass(frozen=True, slots=True)
class Need:
    """What a number of messages a day needs at its peak."""

    per_day: float
    rate: float  # messages a second
    processes: int  # a core each, one of them spare
    database_cores: int
    wal_per_s: float  # megabytes
    disk_per_day: float  # gigabytes
    rows_per_s: float
    network: float  # megabits a second
    sessions: dict[str, int]  # to each large provider
    owner_load: float  # of the process that owns the busiest site, if one does it
    cells: int


def need(per_day: float, costs: Costs, peak: float = PEAK) -> Need:
    """The arithmetic. Little's law gives the sessions: messages a second times seconds for each."""
    rate = per_day * peak / DAY
    whole = (costs.accept_us + costs.deliver_us) / 1e6
    sessions = {each.name: math.ceil(rate * each.share * (each.seconds + each.opening / 20)) for each in PROVIDERS}
    busiest = max(PROVIDERS, key=lambda each: each.share)
    processes = math.ceil(rate * whole / NODE_TARGET) + 1
    owner = (
        rate * (busiest.share + (1 - busiest.share) / (processes - 1)) * costs.deliver_us / 1e6
    )  # it owns its part of the others as well
    places = MAX_ATTEMPTS - LAST_PLACES
    cells = max(1, math.ceil(owner / NODE_TARGET), math.ceil(max(sessions.values()) / places))
    return Need(
        per_day=per_day,
        rate=rate,
        processes=processes,
        database_cores=max(2, math.ceil(rate * costs.database_us / 1e6 / DATABASE_TARGET)),
        wal_per_s=rate * costs.wal / 1e6,
        disk_per_day=per_day * costs.disk / 1e9,
        rows_per_s=rate * costs.rows,
        network=rate * costs.wire * 8 / 1e6,
        sessions=sessions,
        owner_load=owner,
        cells=cells,
    )


def need_table(costs: Costs) -> str:
    """A column for each size."""
    needs = [need(size, costs) for size in SIZES]
    limits = {each.name: site_limit(each.name, each.mx) for each in PROVIDERS}
    lines = [
        ["messages a second, average / peak", *(f"{each.per_day / DAY:,.0f} / {each.rate:,.0f}" for each in needs)],
        ["processes of sendryd, a core each, one spare", *(f"{each.processes}" for each in needs)],
        ["cores of PostgreSQL", *(f"{each.database_cores}" for each in needs)],
        ["WAL at the peak, MB/s", *(f"{each.wal_per_s:,.1f}" for each in needs)],
        ["rows written a second at the peak", *(f"{each.rows_per_s:,.0f}" for each in needs)],
        ["disk for each day of history, GB", *(f"{each.disk_per_day:,.0f}" for each in needs)],
        ["network at the peak, Mb/s", *(f"{each.network:,.0f}" for each in needs)],
    ]
    for name, limit in limits.items():
        lines.append([f"sessions that {name} needs (the rules of the program: {limit})", *(f"{each.sessions[name]:,}" for each in needs)])
    lines.append(["load of the process that owns the busiest site", *(f"{each.owner_load:.0%}" for each in needs)])
    lines.append(["cells", *(f"{each.cells}" for each in needs)])
    return table(("", *(f"{size / 1e6:,.0f} million a day" for size in SIZES)), lines)


def site_limit(domain: str, host: str) -> int | None:
    """Sessions that the program's rules allow to a provider."""
    rules = rules_of(Plan(1e6))
    return rules.limits_of(site_of(rules, domain, (host,))).connections


def enough(sized: Need) -> int:
    """Sessions to each large provider with room to spare, as far as a rule may allow them."""
    return min(MAX_ATTEMPTS, max(20, round(1.5 * max(sized.sessions.values()))))


def plans(costs: Costs, seconds: float) -> list[Plan]:
    """What is simulated: each size with the rules of the program and with enough sessions, the largest also as one of its cells."""
    found = []
    for size in SIZES:
        sized = need(size, costs)
        usual = Plan(
            size, nodes=max(1, sized.processes - 1), seconds=seconds, node_us=costs.deliver_us, database_us=costs.database_us,
            database_cores=sized.database_cores, is_grown=True,
        )  # fmt: skip
        found += [usual, replace(usual, sessions=enough(sized))]
    last, sized = found[-1], need(SIZES[-1], costs)
    cells = max(2, sized.cells)
    one = need(last.per_day / cells, costs)
    found.append(
        replace(
            last,
            per_day=one.per_day,
            nodes=one.processes - 1,
            database_cores=one.database_cores,
            sessions=enough(one),
        )
    )
    return found


def key_of(plan: Plan) -> str:
    """What makes two simulations the same."""
    return repr(plan)


def simulation_table(rows: list[dict[str, Any]]) -> str:
    """A line for each plan that was simulated."""
    lines = []
    for row in rows:
        busiest = row["sites"][0] if row["sites"] else {"site": "", "sessions": 0}
        lines.append(
            [
                f"{row['per_day'] / 1e6:,.0f} million",
                f"{row['nodes']}",
                "rules of the program" if row["sessions"] is None else f"{row['sessions']:,} to each large provider",
                f"{row['asked_per_s']:,}",
                f"{row['delivered_per_s']:,}",
                f"{row['wait_p50_s']} / {row['wait_p99_s']}",
                f"{busiest['site']} {busiest['sessions']}",
                f"{max(row['node_load']):.0%} / {row['database_load']:.0%}",
                row["limits_first"],
            ]
        )
    head = (
        "a day",
        "nodes",
        "sessions",
        "asked/s",
        "delivered/s",
        "wait s, p50 / p99",
        "most sessions",
        "load of busiest node / database",
        "first limit",
    )
    return table(head, lines)


def main() -> None:
    """Prints, and writes the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the peak, in each simulation")
    parser.add_argument("--max-minutes", type=float, default=60, help="begin no simulation after that time")
    parser.add_argument("--write", action="store_true", help="write docs/explanation/capacity.md")
    options = parser.parse_args()
    costs = read_costs(ROOT / "docs" / "performance.json")
    command = " ".join(["python", "benchmarks/capacity.py", *sys.argv[1:]])
    text = f"Written by `{command}` on {today()}, commit {commit()}. {costs.source}.\n\n{need_table(costs)}"
    print(text, flush=True)
    deadline, rows = time.monotonic() + options.max_minutes * 60, list[dict[str, Any]]()
    journal = Journal(CACHE / "journal.jsonl", Conditions(machine(), commit(), 1.0))
    for plan in plans(costs, options.seconds) if options.simulate else ():
        if not (known := journal.of(simulation=key_of(plan))) and time.monotonic() < deadline:
            journal.write({"simulation": key_of(plan), "sessions": plan.sessions, **simulate(plan)})
            known = journal.rows[-1:]
        rows += known[:1]
        print(*(json.dumps(row) for row in known[:1]), sep="\n", flush=True)
    if options.write:
        put_between(PAGE, "arithmetic", text)
        if rows:
            head = (
                f"{options.seconds:g} seconds of the peak of each size, simulated on {today()} with the program of commit {commit()}.\n\n"
            )
            put_between(PAGE, "simulation", head + simulation_table(rows))


if __name__ == "__main__":
    main()
