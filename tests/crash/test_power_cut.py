"""A power cut of the machine of one node on SQLite: the disk has what was synced, and of the rest nothing, something or all.

What was acknowledged before the cut is there after it and is delivered; what arrives a second time is marked.
"""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sendryd.testing.ledger import id_of, is_marked
from sendryd.testing.load import SmtpLoad
from sendryd.testing.mailhost import ReceivedMail, Script
from sendryd.testing.powercut import Call, Disk, Kept, open_positions, read_trace, recorded
from sendryd.testing.process import RelayProcess
from sendryd.testing.world import World

CUTS = int(os.environ.get("SENDRYD_TEST_CUTS", "1"))  # moments of the recorded life at which the power is cut
MESSAGES = 40 if CUTS == 1 else 300
KEPT = list(Kept) if CUTS > 1 else [Kept.NONE, Kept.SOME]
INTERVAL = 0.05  # seconds between two messages of a client


@dataclass
class Ledger:
    """When each message was acknowledged, and when it arrived."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    arrived: list[tuple[str, float]] = field(default_factory=list)

    def note_arrival(self, mail: ReceivedMail) -> None:
        self.arrived.append((id_of(mail), time.time()))  # noqa: TID251  the clock that strace reads


class TimedLoad(SmtpLoad):
    """Notes when the acknowledgement came."""

    def __init__(self, world: World, total: int, ledger: Ledger) -> None:
        super().__init__(world, total, interval=INTERVAL)
        self._ledger = ledger

    def send(self, client: object, number: int) -> str:
        message_id = super().send(client, number)  # type: ignore[arg-type]
        self._ledger.acknowledged[message_id] = time.time()  # noqa: TID251  the clock that strace reads
        return message_id


def record(world: World, ledger: Ledger, copy: Path, trace: Path) -> tuple[Disk, list[Call]]:
    """A life under load: its disk at first, and the calls that change it."""
    relay = world.relay
    with recorded(relay.process.pid, trace):
        positions = open_positions(relay.process.pid)
        copy_folder(relay.data_dir, copy)
        load = TimedLoad(world, MESSAGES, ledger)
        load.start()
        load.join()
        world.wait_until(lambda: set(load.acknowledged) <= set(load.delivered()))
    relay.kill()
    return Disk(relay.data_dir, copy, positions), read_trace(trace)


def copy_folder(folder: Path, copy: Path) -> None:
    """A file that goes meanwhile is left out."""
    for path in [folder, *sorted(folder.rglob("*"))]:
        target = copy / path.relative_to(folder)
        if path.is_dir():
            target.mkdir()
        elif path.name != "reserve":  # large, and made again
            target.write_bytes(path.read_bytes())


def rebuilt(disk: Disk, calls: list[Call], ledger: Ledger, folder: Path) -> Iterator[tuple[Call, Kept, Path]]:
    """The disk after power cuts at moments with mail under way."""
    chance = random.Random(CUTS)
    first, last = sorted(ledger.acknowledged.values())[:: len(ledger.acknowledged) - 1]
    within = [index for index, call in enumerate(calls) if first < call.moment < last]
    moments = {within[(2 * number + 1) * len(within) // (2 * CUTS)] for number in range(CUTS)}
    for index, call in enumerate(calls):
        if disk.apply(call) and moments and index >= min(moments):
            moments.remove(min(moments))
            for kept in KEPT:
                built = folder / f"{index}-{kept.name.lower()}"
                disk.build(built, kept, chance)
                yield call, kept, built


def check(world: World, ledger: Ledger, cut: Call, folder: Path) -> tuple[int, int]:
    """The start after a cut. Returns how many messages had been acknowledged, and how many arrived twice."""
    relay = RelayProcess(folder, {**world.relay.env, "SENDRYD_DATA_DIR": str(folder)})
    acknowledged = {each for each, moment in ledger.acknowledged.items() if moment < cut.moment}
    before = {each for each, moment in ledger.arrived if moment < cut.moment}
    start = len(ledger.arrived)
    with relay:
        relay.run("queue", "retry", "--domain", "example.org")
        world.wait_until(lambda: acknowledged <= before | {each for each, _ in ledger.arrived[start:]}, timeout=60)
        world.wait_until(lambda: relay.json("queue", "list")["data"] == [], timeout=60)
        for message_id in acknowledged:
            assert relay.get(f"/v1/emails/{message_id}", world.live_key)[0] == 200
        twice = before & {each for each, _ in ledger.arrived[start:]}
        unmarked = [each for each in twice if not is_marked(relay, each, world.live_key)]
        assert not unmarked
        assert relay.stop() == 0
    assert "Traceback" not in relay.log_path.read_text("utf-8")
    return len(acknowledged), len(twice)


@pytest.mark.needs("strace")
@pytest.mark.timeout(300 + 120 * CUTS)
def test_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger()
    kept_count = twice_count = lives = 0
    with World(tmp_path, env={"SENDRYD_LOG_LEVEL": "warning"}, script=Script(final=ledger.note_arrival)) as world:
        if "SENDRYD_DATABASE_URL" in world.relay.env:
            pytest.skip("the tests run on a server's database, which syncs for itself")
        disk, calls = record(world, ledger, tmp_path / "copy", tmp_path / "trace")
        for cut, kept, folder in rebuilt(disk, calls, ledger, tmp_path):
            try:
                acknowledged, twice = check(world, ledger, cut, folder)
            except Exception as error:
                raise AssertionError(f"power cut after {cut.name} (line {cut.ended}), with {kept}: {error}") from error
            kept_count, twice_count, lives = kept_count + acknowledged, twice_count + twice, lives + 1
        with capsys.disabled():
            print(
                f"\n{lives} starts after {CUTS} power cuts, {kept_count} acknowledged before, 0 lost, {twice_count} delivered twice and marked"
            )
    assert lives == CUTS * len(KEPT)
