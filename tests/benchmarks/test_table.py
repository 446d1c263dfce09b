"""The table of `make bench`: goals from rows, ratios of the same round alone, the page between its markers, the plot."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from sidebyside.goals import GOALS, summary
from sidebyside.journal import Conditions, Journal
from sidebyside.page import goal_table, page_text, put_between, skipped_list, write_figures
from sidebyside.plot import draw

ROOT = Path(__file__).parents[2]
META = {
    "machine": "A processor, 2 cores",
    "date": "2026-11-30 12:00 UTC",
    "commit": "12345678",
    "command": "python benchmarks/bench.py",
    "rounds": 2,
    "scale": 1.0,
    "disk": {"syncs_per_s": 4000.0, "p99_ms": 1.5},
    "other_cores": 0.02,
}
GOAL = {goal.name: goal for goal in GOALS}


def row(number: int, scenario: str, peer: str, rate: float, **more: object) -> dict[str, Any]:
    figures = {"cpu_us": 100.0, "peak_mb": 50.0, "client_cores": 0.2, "other_cores": 0.0, "ack_ms": {"p50": 1.0, "p99": 4.0}}
    return {"round": number, "scenario": scenario, "peer": peer, "rate": rate, **figures, **more}


ROWS = [
    row(1, "reused", "postfix", 500.0, cpu_us=1000.0, ack_ms={"p50": 9.0, "p99": 40.0}),
    row(1, "reused", "sendryd", 4500.0),
    row(2, "reused", "postfix", 1000.0, cpu_us=1200.0, ack_ms={"p50": 9.0, "p99": 40.0}),
    row(2, "reused", "sendryd", 7000.0, peak_mb=120.0),
    row(3, "reused", "sendryd", 90_000.0),  # its Postfix is missing
    row(2, "reused", "prototype", 10_000.0),
    row(1, "end-to-end", "postfix", 400.0, delivered=400),
    row(1, "end-to-end", "sendryd-postgres", 300.0, database_cpu_us=77.0),
    {"peer": "exim", "skipped": "exim4 is not installed (Debian package exim4-daemon-light)"},
]


def test_a_goal_is_the_median_of_ratios_of_the_same_round() -> None:
    found = summary(GOAL["G1"], ROWS, "sendryd")
    assert found == {"median": 8.0, "least": 7.0, "most": 9.0, "rounds": 2, "is_met": True}
    assert summary(GOAL["G13"], ROWS, "sendryd") == {"median": 70.0, "least": 70.0, "most": 70.0, "rounds": 1, "is_met": True}


def test_a_goal_that_is_a_limit_is_missed_above_it() -> None:
    memory = summary(GOAL["G8"], ROWS, "sendryd")
    assert memory is not None
    assert memory["most"] == 120.0
    costs = summary(GOAL["G7"], ROWS, "sendryd")
    assert costs is not None
    assert costs["is_met"]
    acks = summary(GOAL["G6"], ROWS, "sendryd")
    assert acks is not None
    assert acks["median"] == pytest.approx(0.1)


def test_the_cost_of_a_long_queue_is_relative_to_a_short_one() -> None:
    growth = [
        {"growth": "queue", "number": number, "peer": "sendryd", "cost": cost} for number, cost in ((1000, 200.0), (1_000_000, 250.0))
    ]
    found = summary(GOAL["G11"], growth, "sendryd")
    assert found is not None
    assert (found["median"], found["is_met"]) == (1.25, False)
    assert summary(GOAL["G11"], growth[:1], "sendryd") is None


def test_the_page_names_machine_and_date_and_what_was_not_measured(tmp_path: Path) -> None:
    text = page_text(ROWS, META, "plot.svg")
    assert text.startswith("**A look, not a measurement**")  # two rounds
    assert "A processor, 2 cores" in text
    assert "2026-11-30" in text
    assert "| G1 | " in goal_table(ROWS)
    assert "**8.00×** (7.00× to 9.00×), met | not measured |" in goal_table(ROWS)
    assert "| sendryd-postgres | 300 | 0.75 / **0.75** / 0.75 | 1.0 / 4.0 | 100 (database 77) |" in text
    assert skipped_list(ROWS) == "- Not measured: exim: exim4 is not installed (Debian package exim4-daemon-light).\n\n"
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- table -->\nold\n<!-- end of table -->\n\nrest\n", "utf-8")
    put_between(page, "table", "new\n")
    assert page.read_text("utf-8") == "# Page\n\n<!-- table -->\nnew\n<!-- end of table -->\n\nrest\n"
    with pytest.raises(ValueError, match="no place for growth"):
        put_between(page, "growth", "new\n")


def test_the_published_page_has_the_places() -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    for name in ("table of make bench", "growth"):
        assert page.count(f"<!-- {name} -->") == page.count(f"<!-- end of {name} -->") == 1


def test_the_figures_are_a_document(tmp_path: Path) -> None:
    write_figures(tmp_path / "figures.json", ROWS, META)
    found = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert found["goals"]["G1"]["sendryd"]["median"] == 8.0
    assert found["commit"] == "12345678"
    assert len(found["measurements"]) == len(ROWS)


def test_the_plot_says_in_words_what_its_bars_show() -> None:
    root = ET.fromstring(draw(ROWS, "caption & date"))
    space = {"svg": "http://www.w3.org/2000/svg"}
    description = root.find("svg:desc", space)
    assert description is not None
    assert description.text is not None
    assert "sendryd 8.00 times postfix" in description.text
    assert root.get("role") == "img"
    assert len(root.findall("svg:rect", space)) == 5  # three servers in one scenario, two in the other
    style = root.find("svg:style", space)
    assert style is not None
    assert style.text is not None
    assert "prefers-color-scheme: dark" in style.text


def test_a_run_goes_on_from_its_journal_and_from_no_other(tmp_path: Path) -> None:
    path, here = tmp_path / "journal.jsonl", Conditions("machine", "12345678", 1.0)
    Journal(path, here).write(row(1, "reused", "postfix", 500.0))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"round": 2, "scen')  # the machine went down
    assert Journal(path, here).has(round=1, scenario="reused", peer="postfix")
    assert not Journal(path, here).has(round=2)
    assert not Journal(path, Conditions("machine", "87654321", 1.0)).has(round=1)
