"""What a run writes: the tables between two markers of a page, a document of all figures, a plot."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sidebyside.goals import GOALS, Goal, Rows, by_round, summary
from sidebyside.journal import values
from sidebyside.scenarios import OURS, SCENARIOS

ORDER = ("postfix", "postfix-opendkim", "exim", "opensmtpd", "haraka", "aiosmtpd", "sendryd", "sendryd-postgres", "discarding", "prototype")
FULL_ROUNDS = 5


def put_between(path: Path, name: str, text: str) -> None:
    """Replaces what is between `<!-- name -->` and `<!-- end of name -->`. Raises `ValueError` if they are not in the page."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    page = path.read_text("utf-8")
    head, has_begin, rest = page.partition(begin)
    _, has_end, tail = rest.partition(end)
    if not has_begin or not has_end:
        raise ValueError(f"{path} has no place for {name}")
    path.write_text(f"{head}{begin}{text}{end}{tail}", "utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def is_look(rounds: int, scale: float) -> bool:
    """Too short to be quoted."""
    return rounds < FULL_ROUNDS or scale < 1


def conditions(meta: Mapping[str, Any]) -> str:
    """Where, when and how the figures were taken, and how far they can be trusted."""
    text = f"Written by `{meta['command']}` on {meta['date']}, commit {meta['commit']}. {meta['machine']}"
    if disk := meta.get("disk"):
        text += f"; the disk syncs {disk['syncs_per_s']:,.0f} appends of 5 KB a second (99th percentile {disk['p99_ms']:.1f} ms)"
    text += f". {meta['rounds']} rounds at scale {meta['scale']:g}; other programs used {meta['other_cores']:.2f} cores (median).\n"
    if is_look(meta["rounds"], meta["scale"]):
        text = f"**A look, not a measurement**: a full run has {FULL_ROUNDS} rounds at scale 1. {text}"
    return text


def goal_table(rows: Rows) -> str:
    """A line for each goal, ours on both databases beside each other."""

    def cell(goal: Goal, ours: str) -> str:
        found = summary(goal, rows, ours)
        if found is None:
            return "not measured"
        mark = "met" if found["is_met"] else "missed"
        span = f" ({goal.show(found['least'])} to {goal.show(found['most'])})" if found["rounds"] > 1 else ""
        return f"**{goal.show(found['median'])}**{span}, {mark}"

    lines = [(goal.name, goal.text, goal.bound_text, *(cell(goal, ours) for ours in OURS)) for goal in GOALS]
    return table(("", "what: median (range) of the rounds", "goal", "SQLite", "PostgreSQL"), lines)


def scenario_table(rows: Rows, name: str) -> str:
    """The peers of a scenario beside each other."""
    scenario = SCENARIOS[name]
    base = by_round(rows, name, scenario.baseline)
    lines = []
    for peer in ORDER:
        found = by_round(rows, name, peer)
        if not found:
            continue
        ratios = [row["rate"] / base[number]["rate"] for number, row in found.items() if number in base]
        each = list(found.values())
        database = values(each, "database_cpu_us")
        cpu = f"{statistics.median(values(each, 'cpu_us')):,.0f}" + (f" (database {statistics.median(database):,.0f})" if database else "")
        lines.append(
            (
                peer,
                f"{statistics.median(values(each, 'rate')):,.0f}",
                f"{min(ratios):.2f} / **{statistics.median(ratios):.2f}** / {max(ratios):.2f}" if ratios else "",
                f"{statistics.median(row['ack_ms']['p50'] for row in each):.1f} / {statistics.median(row['ack_ms']['p99'] for row in each):.1f}",
                cpu,
                f"{max(values(each, 'peak_mb')):.0f}",
                f"{statistics.median(values(each, 'client_cores')):.2f}",
            )
        )
    if not lines:
        return ""
    place = "server on one core, load on the other" if scenario.is_pinned else "all share the cores"
    head = (
        "server",
        "messages/s",
        f"to {scenario.baseline}, min / median / max",
        "ack ms, p50 / p99",
        "CPU µs a message",
        "peak MB",
        "load's cores",
    )
    return f"**{scenario.title}** ({place})\n\n{table(head, lines)}\n"


def skipped_list(rows: Rows) -> str:
    """What could not be measured, each once."""
    measured = {row["peer"] for row in rows if row.get("rate")}
    found = dict.fromkeys(f"{row['peer']}: {row['skipped']}" for row in rows if row.get("skipped") and row["peer"] not in measured)
    return "".join(f"- Not measured: {each}.\n" for each in found) + ("\n" if found else "")


def page_text(rows: Rows, meta: Mapping[str, Any], plot: str) -> str:
    """All that goes into the page."""
    tables = "".join(scenario_table(rows, name) for name in SCENARIOS)
    return f"{conditions(meta)}\n{goal_table(rows)}\n![Rates of mail servers in the same run]({plot})\n\n{tables}{skipped_list(rows)}"


def write_figures(path: Path, rows: Rows, meta: Mapping[str, Any]) -> None:
    """The document of all figures."""
    goals = {goal.name: {ours: summary(goal, rows, ours) for ours in OURS} for goal in GOALS}
    dropped = ("machine", "commit", "scale")
    document = {**meta, "goals": goals, "measurements": [{key: row[key] for key in row if key not in dropped} for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
