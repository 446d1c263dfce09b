"""Dialogues of delivery attempts, in memory."""

from collections.abc import Iterable, Mapping

from sendryd.model.dialogue import AttemptDialogue
from sendryd.store.codec.dialogues import decode_dialogue, encode_dialogue


class MemoryDialogues:
    """`DialogueStore` without a disk. It keeps all of them."""

    def __init__(self) -> None:
        self._records: list[bytes] = []

    def add_dialogue(self, dialogue: AttemptDialogue, *, is_delivered: bool) -> str:
        self._records.append(encode_dialogue(dialogue))
        return f"{'delivered' if is_delivered else 'failed'}:{len(self._records) - 1}"

    async def read_dialogues(self, places: Iterable[str]) -> Mapping[str, AttemptDialogue]:
        known = {f"{word}:{number}": number for number in range(len(self._records)) for word in ("delivered", "failed")}
        return {place: decode_dialogue(self._records[known[place]]) for place in places if place in known}

    async def write_dialogues(self) -> None: ...
