"""Large contents as files: written once, synced with their folder before the commit that needs them, never changed."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sendryd.store.errors import NotFound
from sendryd.store.sqlite.connection import translated

ORPHAN_AGE: Final = 3600.0  # seconds: a file without a message that is older was left by a crash before its commit


class Spool:
    """The folder `spool/`, two levels of 256 folders each, so that none has too many entries."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, message_id: int) -> Path:
        """Where a message's content is. The last bits of an identifier change fastest."""
        low = f"{message_id:016x}"
        return self._root / low[-8:-6] / low[-5:-3] / low

    def write(self, message_id: int, content: bytes) -> None:
        """Returns once the content is on the disk. Raises `StoreFull`, `StoreUnavailable`."""
        path = self.path(message_id)
        temporary = path.with_suffix(".tmp")
        with translated():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fdatasync(file.fileno())
                temporary.rename(path)
            except OSError:
                with suppress(OSError):
                    temporary.unlink()
                raise
            _sync_folder(path.parent)

    def read(self, message_id: int) -> bytes:
        """The content. Raises `NotFound`."""
        try:
            with translated():
                return self.path(message_id).read_bytes()
        except Exception as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise NotFound("the content of the message is gone") from None
            raise

    def remove(self, message_id: int) -> None:
        """Removes a content that nothing refers to any more."""
        with suppress(OSError):
            self.path(message_id).unlink()

    def remove_all(self, message_ids: Iterable[int]) -> None:
        """Removes several."""
        for message_id in message_ids:
            self.remove(message_id)

    def old_files(self) -> list[tuple[int, Path]]:
        """Files older than any accept under way, with the identifier that they stand for (0: a temporary file)."""
        limit = time.time() - ORPHAN_AGE
        found = []
        for path in self._root.glob("*/*/*"):
            with suppress(OSError, ValueError):
                if path.stat().st_mtime < limit:
                    found.append((0 if path.suffix else int(path.name, 16), path))
        return found


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
