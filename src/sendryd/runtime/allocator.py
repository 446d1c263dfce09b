"""Sets the C library's allocator so that the memory of large contents returns to the system."""

import ctypes
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # mallopt(3)
_M_ARENA_MAX: Final = -8
# Pieces of this size or more are mapped, and unmapped when they are freed. By default the C library raises this to 32 MiB once such
# a piece was freed, and keeps later ones in the heap of each thread: hundreds of megabytes that nothing uses.
MAPPED: Final = 4 * 1024 * 1024
ARENAS: Final = 2  # heaps, for all threads: Python runs one at a time


def give_large_memory_back() -> None:
    """Sets the thresholds of glibc; other C libraries return memory by default. Call it before threads are started."""
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, MAPPED)
        mallopt(_M_ARENA_MAX, ARENAS)
