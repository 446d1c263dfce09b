"""Every fuzz driver runs, for a moment and with the same inputs each time, so that none of them rots."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
DRIVERS = sorted(path.stem for path in FUZZ.glob("fuzz_*.py"))
SECONDS = 0.4
SEED = 1


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drivers import what stands beside them."""
    monkeypatch.syspath_prepend(str(FUZZ))


def load(name: str) -> ModuleType:
    spec = spec_from_file_location(name, FUZZ / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", DRIVERS)
def test_a_driver_searches_and_finds_nothing(name: str) -> None:
    driver = load(name)
    assert driver.__doc__
    seeds = getattr(driver, "SEEDS", ())
    count = load("drive").search(driver.test, driver.PIECES, seeds=seeds, seconds=SECONDS, seed=SEED)
    assert count > len(seeds)


def test_a_finding_is_raised_and_told_with_its_input(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[bytes] = []

    def fragile(data: bytes) -> None:
        seen.append(data)
        assert b"bad" not in data

    with pytest.raises(AssertionError):
        load("drive").search(fragile, [b"bad", b"good"], seeds=[b"seed"], seconds=5, seed=SEED)
    assert seen[0] == b"seed"
    assert capsys.readouterr().err == f"seed {SEED}, input {seen[-1]!r}\n"


def test_the_same_number_makes_the_same_inputs() -> None:
    runs: list[list[bytes]] = [[], []]
    for run in runs:
        load("drive").search(run.append, [b"a", b"b"], seeds=[b"seed"], seconds=0.1, seed=SEED)
    shorter = min(map(len, runs))
    assert shorter > 1
    assert runs[0][:shorter] == runs[1][:shorter]


def test_there_is_a_driver_for_each_parser_that_strangers_reach() -> None:
    assert {
        "fuzz_address",
        "fuzz_author",
        "fuzz_client",
        "fuzz_command",
        "fuzz_datastream",
        "fuzz_message",
        "fuzz_reply",
        "fuzz_server",
    } <= set(DRIVERS)
