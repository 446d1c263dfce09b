"""Room on the disk: new messages are refused while there is some left, so that outcomes and deletions, which make room, still go through.

Two margins. Below the first nothing with a content is taken. The second is a file: when others have filled the disk to its end, the writer
gives the file up for a transaction that does not fit, because even deleting writes to the database's log first.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sendryd.store.errors import StoreFull

MARGIN: Final = 128 * 1024 * 1024  # octets that stay free: some minutes of outcomes at the highest rate
MARGIN_SHARE: Final = 10  # on a small disk, a tenth of it
RESERVE: Final = 32 * 1024 * 1024  # octets of the file: twice what the log grows to before it is written back
RESERVE_SHARE: Final = 20  # on a small disk, a twentieth of it
PLENTY: Final = 1024 * 1024 * 1024  # octets above the margin: no disk takes them between two looks
LOOK_INTERVAL: Final = 0.5  # seconds between looks at a disk with plenty of room
RESERVE_NAME: Final = "reserve"


class Room:
    """The disk of a data directory."""

    def __init__(self, data_dir: Path, monotonic: Callable[[], float] | None = None) -> None:
        self._folder = data_dir
        self._reserve = data_dir / RESERVE_NAME
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._left = 0  # octets above the margin when the disk was looked at

    def is_plenty(self, size: int) -> bool:
        """Whether so many octets fit beyond doubt by the last look. False says nothing: ask `check`."""
        return size <= self._left and self._left >= PLENTY and self._now() - self._looked < LOOK_INTERVAL

    def check(self, size: int) -> None:
        """Raises `StoreFull` if so many octets would eat into the margin, `OSError`. Looks at the disk only now and then if there is plenty."""
        now = self._now()
        if now - self._looked >= LOOK_INTERVAL or self._left < PLENTY:
            free, total = self._measure()
            self._left, self._looked = free - min(MARGIN, total // MARGIN_SHARE), now
        if size > self._left:
            raise StoreFull("the disk is nearly full: what is left is kept for mail that was accepted already")

    def hold(self) -> None:
        """Makes the file, unless there is not much room, or it is there."""
        with suppress(OSError):  # without it the program works as before; it is tried again
            if self._reserve.exists():
                return
            free, total = self._measure()
            size = min(RESERVE, total // RESERVE_SHARE)
            if size <= 0 or free - size <= min(MARGIN, total // MARGIN_SHARE):
                return
            descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            except OSError:
                self._reserve.unlink()
                raise
            finally:
                os.close(descriptor)

    def release(self) -> bool:
        """Gives the file up. True if that made room."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def _now(self) -> float:
        return self._monotonic() if self._monotonic is not None else float("inf")

    def _measure(self) -> tuple[int, int]:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
