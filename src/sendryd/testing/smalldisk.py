"""A small disk in memory that a test fills and empties. Only root may make one."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PIECE: Final = bytes(1 << 16)
FILLING: Final = "filling"


def is_permitted() -> bool:
    """Whether this process may mount a disk."""
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


class SmallDisk:
    """A disk at a folder. A context manager."""

    def __init__(self, folder: Path, size: int) -> None:
        """`size` in octets."""
        self.folder = folder
        self._size = size

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._size},mode=700", "tmpfs", str(self.folder)], check=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False)

    def fill(self) -> None:
        """Uses up all that is free, as another program on the same disk does."""
        with suppress(OSError), open(self.folder / FILLING, "ab", buffering=0) as file:
            while file.write(PIECE):
                pass

    def empty(self) -> None:
        """Gives the room back."""
        (self.folder / FILLING).unlink(missing_ok=True)
