"""The doorbells of a process among others: what one sets wakes the waiters of all."""

from contextlib import suppress
from typing import Final

from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.wakeup import Doorbell, Wakeup
from sendryd.store.base.nodes import Line, NodeStore
from sendryd.store.errors import StoreError

PAUSE: Final = 0.02  # seconds between two rings of a process: each makes every other process look for work
LOOK_INTERVAL: Final = 15.0  # seconds without a ring after which the connection is tried: one that was cut off silently hears nothing
RECONNECT_PAUSE: Final = 1.0  # seconds

log = get_logger("nodes")


class Bells:
    """Rings at the other processes, and hears them, over one connection."""

    def __init__(self, store: NodeStore, clock: Clock, here: dict[str, Wakeup]) -> None:
        """`here` are the doorbells of this process, by kind of work."""
        self._store = store
        self._clock = clock
        self._here = here
        self._asked: set[str] = set()  # kinds of work to ring for
        self._stirred = Wakeup()

    def ring(self, kind: str) -> None:
        """Wakes the waiters of all other processes soon."""
        self._asked.add(kind)
        self._stirred.set()

    async def run(self) -> None:
        """Rings and listens until cancelled."""
        is_away = False
        while True:
            try:
                line = await self._store.open_line(self._hear, self._stirred.set)
                is_away = False
                try:
                    await self._serve(line)
                finally:
                    if line is not None:
                        line.close()
            except StoreError as error:
                if not is_away:
                    log.warning("doorbell_cut_off", error=repr(error))
                is_away = True
                await self._clock.sleep(RECONNECT_PAUSE)

    async def _serve(self, line: Line | None) -> None:
        for bell in self._here.values():  # rings were missed while there was no connection
            bell.set()
        while True:
            await self._stirred.wait(LOOK_INTERVAL)
            kinds, self._asked = self._asked, set()
            try:
                if line is not None:
                    await line.ring(kinds)
            except StoreError:
                self._asked |= kinds
                raise
            await self._clock.sleep(PAUSE)

    def _hear(self, kind: str) -> None:
        with suppress(KeyError):  # work that this process does not do, or of another version
            self._here[kind].set()


class SharedBell:
    """`Doorbell` of one kind of work, in all processes."""

    def __init__(self, kind: str, here: Doorbell, bells: Bells) -> None:
        self._kind = kind
        self._here = here
        self._bells = bells

    def set(self) -> None:
        """Wakes the waiters of this process at once, and those of the others soon."""
        self._here.set()
        self._bells.ring(self._kind)

    async def wait(self, timeout: float | None) -> bool:
        """Waits as `Wakeup.wait` does."""
        return await self._here.wait(timeout)
