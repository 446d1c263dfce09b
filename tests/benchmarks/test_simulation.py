"""The simulated cluster: the program's own delivery engine at small sizes, in virtual time."""

from dataclasses import replace

import pytest
from simulation import MX, PROVIDERS, Plan, Processor, World, simulate

SMALL = Plan(1e6, seconds=20.0, domains=50)


def test_a_small_peak_leaves_in_seconds_and_within_the_limits_of_the_sites() -> None:
    found = simulate(SMALL)
    assert found["accepted"] == pytest.approx(20 * SMALL.rate, rel=0.25)
    assert found["limits_first"] == "nothing"
    assert found["delivered"] + found["waiting"] == found["accepted"]
    assert found["wait_p50_s"] < 1.5
    google = next(each for each in found["sites"] if each["site"] == "google")
    assert google["sessions"] == 5  # the rule of the program


def test_sessions_of_the_large_sites_limit_first() -> None:
    large = replace(SMALL, per_day=8e6, nodes=2, seconds=10.0)
    by_rules = simulate(large)
    assert by_rules["limits_first"] == "sessions that sites may have"
    more = simulate(replace(large, sessions=80, is_grown=True))
    assert more["delivered"] > 1.2 * by_rules["delivered"]
    assert max(each["sessions"] for each in more["sites"]) > 20


def test_a_processor_that_is_too_slow_limits_first() -> None:
    found = simulate(replace(SMALL, per_day=4e6, seconds=10.0, sessions=200, is_grown=True, node_us=20_000.0))
    assert found["limits_first"] == "the process that owns the busiest sites"
    assert found["node_load"][0] > 0.9


def test_an_outage_of_a_provider_leaves_the_others_alone() -> None:
    usual, found = simulate(SMALL), simulate(replace(SMALL, outage="google"))
    assert found["deferred"] > 0
    names = ("microsoft", "yahoo", "office365")
    before, during = ({each["site"]: each["per_s"] for each in run["sites"]} for run in (usual, found))
    assert sum(during[name] for name in names) > 0.8 * sum(before[name] for name in names)
    assert found["delivered"] < usual["delivered"]


async def test_each_site_is_of_one_node() -> None:
    world = World(replace(SMALL, nodes=3))
    for provider in PROVIDERS:
        site = world.site_of(provider.name)
        assert sum(world.queue.node_of(site) == node for node in range(3)) == 1
        assert site in world.rules.providers
    assert set(MX) == {each.name for each in PROVIDERS}


def test_work_waits_for_a_core() -> None:
    processor = Processor(2)
    assert [round(processor.work(0.0, 1.0), 6) for _ in range(3)] == [1.0, 1.0, 2.0]
    assert processor.work(10.0, 1.0) == 1.0
    assert processor.busy == 4.0
