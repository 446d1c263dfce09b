"""Notices that a file in use was removed or replaced under its name."""

from pathlib import Path
from typing import Final

from sendryd.store.errors import StoreUnavailable

TAKEN_AWAY: Final = "the database was removed or replaced while it was in use: stop the program, put the file back, and start it again"


class KnownFiles:
    """The identities of files in use. Writes to a file that has lost its name are lost at the next start; reads from it are out of date."""

    def __init__(self, *paths: Path) -> None:
        self._files: dict[Path, tuple[int, int]] = {}  # device and number of each
        for path in paths:
            self.add(path)

    def add(self, path: Path) -> None:
        """Records a file, unless it is known."""
        self._files.setdefault(path, _identify(path))

    def check(self) -> None:
        """Raises `StoreUnavailable` if a file is missing or another one has its name."""
        for path, identity in self._files.items():
            if _identify(path) != identity:
                raise StoreUnavailable(TAKEN_AWAY)


def _identify(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino
