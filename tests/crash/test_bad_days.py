"""Bad days under load: the machine sleeps, its clock is set, its database is locked, the program is killed. Nothing acknowledged is lost, and what comes
twice is marked.
"""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from sendryd.testing.load import SmtpLoad
from sendryd.testing.mailhost import Script
from sendryd.testing.waiting import pause
from sendryd.testing.world import World

ROUNDS = int(os.environ.get("SENDRYD_TEST_BAD_DAYS", "1"))
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
SECONDS_TO_FINAL = 0.3  # of the receiving server: whatever happens, happens while attempts wait for their last reply
MESSAGES = 500  # in each round
INTERVAL = 0.1  # seconds between two messages of a client: the load lasts as long as the bad days
_ID = re.compile(rb" id (em_\w{13})")


class Machine:
    """The machine that the program runs on, as the program sees it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._clock = world.directory / "clock"
        self.set_clock("+0")
        world.relay.env |= {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # without it threads that wait for one another do so by the wrong clock
            "FAKETIME_CACHE_DURATION": "1",  # second
        }

    def set_clock(self, offset: str) -> None:
        """Sets the wall clock, whole: a file half written would be read as no offset."""
        new = self._clock.with_suffix(".new")
        new.write_text(offset)
        new.rename(self._clock)

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
                    assert delivered_twice(world) == []
        machine.set_clock("+0")
        load.join()
        world.wait_until(lambda: set(load.acknowledged) <= set(load.delivered()), timeout=120)
        world.wait_until(lambda: world.relay.json("queue", "list")["data"] == [], timeout=60)
        twice = delivered_twice(world)
        unmarked = [number for number in twice if not is_marked(world, number)]
        with capsys.disabled():
            print(f"\n{load.total} acknowledged, 0 lost, {len(twice)} delivered twice and marked, in {ROUNDS} x {len(days)} bad days")
        assert unmarked == []


def delivered_twice(world: World) -> list[str]:
    """The ids of messages that the receiving server has more than once."""
    times = Counter(match[1].decode() for mail in list(world.mailhost.mails) if (match := _ID.search(mail.content)))
    return [number for number, count in times.items() if count > 1]


def is_marked(world: World, message_id: str) -> bool:
    """Whether an event of a message says that it may have been delivered before."""
    _, page = world.relay.get(f"/v1/emails/{message_id}/events", world.live_key)
    return any(event["metadata"].get("possibly_duplicate") for event in page["data"])
