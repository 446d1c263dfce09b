"""Dialogues of delivery attempts."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from sendryd.model.dialogue import AttemptDialogue


class DialogueStore(Protocol):
    """Keeps the latest dialogues. Nothing depends on them: what cannot be kept is left out, and what was kept may be gone."""

    def add_dialogue(self, dialogue: AttemptDialogue, *, is_delivered: bool) -> str:
        """Takes a dialogue in memory and returns the place that it will have; empty if it is not kept. Never waits, never raises.

        Dialogues of attempts that delivered go sooner than those of attempts that did not.
        """
        ...

    async def read_dialogues(self, places: Iterable[str]) -> Mapping[str, AttemptDialogue]:
        """The dialogues at these places; those that are not there any more are left out. Raises nothing but cancellation."""
        ...

    async def write_dialogues(self) -> None:
        """Writes what was taken, without syncing it, and removes the oldest ones. Raises nothing but cancellation."""
        ...
