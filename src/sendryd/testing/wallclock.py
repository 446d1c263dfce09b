"""The wall clock of one program, which a test sets with libfaketime while the program runs. The clock that only counts seconds stays as it is."""

from pathlib import Path
from typing import Final

LIBRARY: Final = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class WallClock:
    """The clock of a program whose environment this changes before its start."""

    def __init__(self, path: Path, env: dict[str, str]) -> None:
        """`path` is a file for the offset."""
        self._path = path
        self.set("+0")
        env |= {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # without it threads that wait for one another do so by the wrong clock
            "FAKETIME_CACHE_DURATION": "1",  # second
        }

    def set(self, offset: str) -> None:
        """Sets the difference to the machine's clock, such as `-1d`. Whole: a file half written would be read as no offset."""
        new = self._path.with_suffix(".new")
        new.write_text(offset, "ascii")
        new.rename(self._path)
