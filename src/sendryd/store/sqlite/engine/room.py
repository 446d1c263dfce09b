"""Disk space: new messages are refused while some is left, so that outcomes and deletions, which free space, still go through.

There are two margins. Below the first no content is accepted. The second is a reserve file: when other programs have filled the disk, the writer
deletes the file for a transaction that does not fit, because even a deletion first writes to the database's log.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sendryd.store.errors import StoreFull

MARGIN: Final = 128 * 1024 * 1024  # octets kept free: some minutes of outcomes at the highest rate
MARGIN_SHARE: Final = 10  # on a small disk, a tenth of it
RESERVE: Final = 32 * 1024 * 1024  # octets of the reserve file: twice the log's size at a checkpoint
RESERVE_SHARE: Final = 20  # on a small disk, a twentieth of it
PLENTY: Final = 1024 * 1024 * 1024  # octets above the margin: more than any disk can write between two checks
LOOK_INTERVAL: Final = 0.5  # seconds between checks of a disk with plenty of room
RESERVE_NAME: Final = "reserve"


class Room:
    """The disk of a data directory."""

    def __init__(self, data_dir: Path, monotonic: Callable[[], float] | None = None, *, plenty: int = PLENTY) -> None:
        self._folder = data_dir
        self._reserve = data_dir / RESERVE_NAME
        self._monotonic = monotonic
        self._plenty = plenty
        self._looked = float("-inf")
        self._left = 0  # octets above the margin at the last check

    def is_plenty(self, size: int) -> bool:
        """Whether this number of octets surely fits, by the last check. If False, call `check`."""
        return size <= self._left and self._left >= self._plenty and self._now() - self._looked < LOOK_INTERVAL

    def check(self, size: int) -> None:
        """Raises `StoreFull` if this number of octets would use the margin; `OSError`. With plenty of room it checks the disk only every
        `LOOK_INTERVAL`.
        """
        now = self._now()
        if now - self._looked >= LOOK_INTERVAL or self._left < self._plenty:
            free, total = self._measure()
            self._left, self._looked = free - min(MARGIN, total // MARGIN_SHARE), now
        if size > self._left:
            raise StoreFull("the disk is nearly full: what is left is kept for mail that was accepted already")

    def hold(self) -> None:
        """Creates the reserve file, unless it exists or there is little room."""
        with suppress(OSError):  # the program works without it; the next call tries again
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
        """Deletes the reserve file. True if that freed space."""
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
