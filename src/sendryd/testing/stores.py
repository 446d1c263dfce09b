"""Fast stores for single tests: copies of an empty database made once per process, in memory where possible."""

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from sendryd.files import make_folder
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.sqlite import FILE_NAME, open_connection
from sendryd.store.sqlite import SqliteStore, open_store
from sendryd.store.sqlite.engine.creating import create_database

_MEMORY: Final = "/dev/shm"  # on Linux a disk in memory, where a commit does not wait for anything
_NEEDED: Final = 1 << 30  # octets free; containers may have only a few million


@cache
def quick_folder() -> Path:
    """The folder for temporary files on the fastest disk."""
    is_there = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _NEEDED
    return Path(_MEMORY if is_there else tempfile.gettempdir())


@cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
        path = Path(folder) / FILE_NAME
        create_database(path)
        open_connection(path, may_create=False).close()  # sets what the file itself remembers
        return path.read_bytes()


def open_new_store(data_dir: Path, *, tell_unreadable: Callable[[str, str], None] | None = None, sizes: Sizes = USUAL) -> SqliteStore:
    """The store of an empty or new data directory."""
    make_folder(data_dir)
    path = data_dir / FILE_NAME
    path.touch(0o600, exist_ok=False)
    path.write_bytes(_empty_database())
    return open_store(data_dir, tell_unreadable=tell_unreadable, sizes=sizes)


def open_copied_store(before: Path, data_dir: Path) -> SqliteStore:
    """The store of a data directory that becomes a copy of another one, which must be closed."""
    shutil.copytree(before, data_dir, dirs_exist_ok=True)
    return open_store(data_dir)
