"""Writes the dialogues of attempts a few times a second, so that no attempt waits for it. A crash loses the last of them; mail it never is."""

from typing import Final

from sendryd.runtime.clock import Clock
from sendryd.store.base import DialogueStore

INTERVAL: Final = 0.25  # seconds: the page of a mail shows a try as soon as another process can read of it


class DialogueWriter:
    """Between the memory and the files."""

    def __init__(self, dialogues: DialogueStore, clock: Clock) -> None:
        self._dialogues = dialogues
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            await self._dialogues.write_dialogues()
