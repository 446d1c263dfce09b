"""The goals, each computed from the rows of a run: a ratio of the same round wherever there are two sides. Pure."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Measure = Callable[[Rows, str], list[float]]  # from rows and the name of ours to a value for each round


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal. `bound` is the least value that meets it, or the greatest if `is_limit`."""

    name: str
    text: str
    bound: float
    measure: Measure
    unit: str = "×"
    is_limit: bool = False

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.is_limit else value >= self.bound

    @property
    def bound_text(self) -> str:
        """The goal with its sign and unit."""
        space = "" if self.unit == "×" else " "
        return f"{'≤' if self.is_limit else '≥'} {self.bound:,g}{space}{self.unit}"

    def show(self, value: float) -> str:
        """A value with its unit."""
        if self.unit == "×":
            return f"{value:.2f}×" if value < 10 else f"{value:.1f}×"
        return f"{value:,.0f} {self.unit}" if self.unit != "%" else f"{value:.0f} %"


def by_round(rows: Rows, scenario: str, peer: str) -> dict[int, Mapping[str, Any]]:
    """The measurements of a peer in a scenario by round, without those that got nothing."""
    return {row["round"]: row for row in rows if row.get("scenario") == scenario and row.get("peer") == peer and row.get("rate")}


def ratio(
    scenario: str, base: str, of: Callable[[Mapping[str, Any]], float] = lambda row: float(row["rate"]), factor: float = 1.0
) -> Measure:
    """Ours to that of a peer in the same round."""

    def measure(rows: Rows, ours: str) -> list[float]:
        theirs = by_round(rows, scenario, base)
        mine = by_round(rows, scenario, ours)
        return [factor * of(row) / of(theirs[number]) for number, row in mine.items() if number in theirs and of(theirs[number])]

    return measure


def rate(scenario: str) -> Measure:
    """Messages a second."""
    return lambda rows, ours: [row["rate"] for row in by_round(rows, scenario, ours).values()]


def peak(*scenarios: str) -> Measure:
    """The most memory of a round's scenarios."""

    def measure(rows: Rows, ours: str) -> list[float]:
        found: dict[int, float] = {}
        for scenario in scenarios:
            for number, row in by_round(rows, scenario, ours).items():
                found[number] = max(found.get(number, 0.0), row["peak_mb"])
        return list(found.values())

    return measure


def growth(rows: Rows, ours: str) -> list[float]:
    """The cost of a message with the longest queue that was measured, to that with a thousand. Only a million counts."""
    costs = {row["number"]: row["cost"] for row in rows if row.get("growth") == "queue" and row.get("peer") == ours}
    return [costs[1_000_000] / costs[1000]] if 1000 in costs and 1_000_000 in costs else []


def ack(row: Mapping[str, Any]) -> float:
    return float(row["ack_ms"]["p99"])


def cpu(row: Mapping[str, Any]) -> float:
    return float(row["cpu_us"])


GOALS = (
    Goal("G1", "5 KB, durable accept, 20 connections reused, to Postfix", 8, ratio("reused", "postfix")),
    Goal("G2", "the same, a connection and handshake for each, to Postfix", 3, ratio("fresh", "postfix")),
    Goal("G3", "end to end, signed with RSA-2048, to Postfix with OpenDKIM", 8, ratio("end-to-end-dkim", "postfix-opendkim")),
    Goal("G4", "end to end, ours signing as always, to Postfix that does not", 3.5, ratio("end-to-end", "postfix")),
    Goal("G5", "1 MB, durable accept, to Postfix", 2, ratio("large", "postfix")),
    Goal("G6", "99th percentile of the acknowledgement in G1, to Postfix's", 0.2, ratio("reused", "postfix", ack), is_limit=True),
    Goal("G7", "CPU of the server for a message in G1, to Postfix's", 0.125, ratio("reused", "postfix", cpu), is_limit=True),
    Goal("G8", "peak memory over G1, G2 and G5", 100, peak("reused", "fresh", "large"), "MB", is_limit=True),
    Goal(
        "G9", "durable accept as a share of what the same code reaches without keeping", 50, ratio("reused", "discarding", factor=100), "%"
    ),
    Goal("G10", "`POST /v1/emails`, 5 KB", 2500, rate("rest"), "/s"),
    Goal("G10b", "`POST /v1/emails/batch`, 100 messages in each", 8000, rate("rest-batch"), "/s"),
    Goal("G11", "cost of a message with 1,000,000 queued, to that with 1,000", 1.2, growth, is_limit=True),
    Goal("G12", "100 KB end to end", 400, rate("end-to-end-100k"), "/s"),
    Goal("G13", "G1's rate as a share of the prototype's", 60, ratio("reused", "prototype", factor=100), "%"),
)


def summary(goal: Goal, rows: Rows, ours: str) -> dict[str, Any] | None:
    """Median, range, and whether the median meets the goal; None: not measured."""
    found = goal.measure(rows, ours)
    if not found:
        return None
    middle = statistics.median(found)
    return {"median": middle, "least": min(found), "most": max(found), "rounds": len(found), "is_met": goal.is_met(middle)}
