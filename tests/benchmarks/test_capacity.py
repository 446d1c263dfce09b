"""The capacity model: more mail needs no less of anything, and the page takes full runs alone for measured."""

import json
from itertools import pairwise
from pathlib import Path

from capacity import PAGE, SIZES, Costs, need, need_table, plans, read_costs
from simulation import rules_of


def test_more_mail_needs_no_less_of_anything() -> None:
    needs = [need(size, Costs()) for size in SIZES]
    for small, large in pairwise(needs):
        assert small.processes <= large.processes
        assert small.cells <= large.cells
        assert small.wal_per_s < large.wal_per_s
        assert all(small.sessions[name] <= large.sessions[name] for name in small.sessions)
    assert needs[0].rate == 1e6 * 3 / 86_400


def test_a_site_that_is_too_much_for_one_process_asks_for_cells() -> None:
    assert need(10e6, Costs()).cells == 1
    assert need(1000e6, Costs()).cells > need(100e6, Costs()).cells > 1


def test_costs_come_from_full_runs_alone(tmp_path: Path) -> None:
    path = tmp_path / "performance.json"
    assert read_costs(path) == Costs()
    measurements = [
        {"scenario": scenario, "peer": "sendryd-postgres", "cpu_us": cpu, "database_cpu_us": base}
        for scenario, cpu, base in (("reused", 500.0, 100.0), ("end-to-end", 1500.0, 400.0))
    ]
    run = {"rounds": 5, "scale": 1.0, "date": "today", "commit": "1", "machine": "m", "measurements": measurements}
    path.write_text(json.dumps({**run, "rounds": 1}), "utf-8")
    assert read_costs(path) == Costs()
    path.write_text(json.dumps(run), "utf-8")
    found = read_costs(path)
    assert (found.accept_us, found.deliver_us, found.database_us) == (400.0, 700.0, 400.0)
    assert "today" in found.source


def test_the_page_has_the_places_and_each_size() -> None:
    page = PAGE.read_text("utf-8")
    for name in ("arithmetic", "simulation"):
        assert page.count(f"<!-- {name} -->") == page.count(f"<!-- end of {name} -->") == 1
    assert "100 million a day" in need_table(Costs())
    found = plans(Costs(), 1.0)
    assert len(found) == 2 * len(SIZES) + 1
    for plan in found:
        rules_of(plan)  # raises where a rule may not allow so many sessions
