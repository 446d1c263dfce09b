"""Bad days under load: the machine sleeps, its clock is set, its database is locked, the program is killed. Nothing acknowledged is lost, and what comes
twice is marked.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from sendryd.testing.ledger import arrived_twice, unmarked
from sendryd.testing.load import SmtpLoad
from sendryd.testing.mailhost import Script
from sendryd.testing.waiting import pause
from sendryd.testing.wallclock import WallClock
from sendryd.testing.world import World

ROUNDS = int(os.environ.get("SENDRYD_TEST_BAD_DAYS", "1"))
SECONDS_TO_FINAL = 0.3  # of the receiving server: whatever happens, happens while attempts wait for their last reply
MESSAGES = 500  # in each round
INTERVAL = 0.1  # seconds between two messages of a client: the load lasts as long as the bad days


class Machine:
    """The machine that the program runs on, as the program sees it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.set_clock = WallClock(world.directory / "clock", world.relay.env).set

    def sleep(self) -> None:
        """It is suspended: an hour passes, of which only the wall clock knows."""
        self._world.relay.process.send_signal(signal.SIGSTOP)
        pause(1)
        self.set_clock("+1h")
        self._world.relay.process.send_signal(signal.SIGCONT)
        pause(2)

    def lock_database(self) -> None:
        """Another process holds the database for longer than a commit may wait."""
        connection = apsw.Connection(str(self._world.relay.data_dir / "sendryd.db"))
        connection.set_busy_timeout(30_000)
        connection.execute("BEGIN IMMEDIATE")
        pause(7)
        connection.execute("ROLLBACK")
        connection.close()

    def set_clock_forward(self) -> None:
        """By days, and back."""
        self.set_clock("+5d")
        pause(2)
        self.set_clock("+0")
        pause(2)

    def set_clock_back(self) -> None:
        """By a day; it stays there for a while."""
        self.set_clock("-1d")
        pause(2)

    def kill(self) -> None:
        """A crash."""
        self._world.relay.kill()
        self._world.relay.start()


@pytest.mark.needs("faketime")
@pytest.mark.timeout(100 * ROUNDS + 100)
def test_bad_days_lose_no_mail_and_mark_duplicates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(tmp_path, env={"SENDRYD_LOG_LEVEL": "warning"}, script=Script(seconds_to_final=SECONDS_TO_FINAL))
    machine = Machine(world)
    harmless = (machine.sleep, machine.lock_database, machine.set_clock_forward)  # no reason to send anything twice
    days: tuple[Callable[[], None], ...] = (*harmless, machine.kill, machine.set_clock_back, machine.kill)
    with world:
        for name, address in (("SMTP", world.relay.ready["smtp"]), ("HTTP", world.relay.ready["http"].rpartition("//")[2])):
            world.relay.env[f"SENDRYD_{name}_LISTEN"] = address
        load = SmtpLoad(world, MESSAGES * ROUNDS, interval=INTERVAL)
        load.start()
        for number in range(ROUNDS):
            for day in days:
                pause(0.5)
                day()
                if number == 0 and day is harmless[-1]:
                    assert arrived_twice(world.mailhost.mails) == []
        machine.set_clock("+0")
        load.join()
        world.wait_until(lambda: set(load.acknowledged) <= set(load.delivered()), timeout=120)
        world.wait_until(lambda: world.relay.json("queue", "list")["data"] == [], timeout=60)
        twice, left = arrived_twice(world.mailhost.mails), unmarked(world)
        with capsys.disabled():
            print(f"\n{load.total} acknowledged, 0 lost, {len(twice)} delivered twice and marked, in {ROUNDS} x {len(days)} bad days")
        assert left == []
