"""Files and folders that appear whole or not at all, and are there after the power failed."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

UNFINISHED: Final = ".unfinished"  # the end of the temporary name; what a killed process has left under it is written over


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Makes a folder, for its owner alone, and those above it that are missing, as the system makes them; each name is durable.

    Raises `OSError`.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent, mode=0o777)
    with suppress(FileExistsError):
        folder.mkdir(mode=mode)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable, unless we may not read it, as is so of some folders above ours. Raises `OSError`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Writes a file, or replaces it: whoever looks finds the old file or the whole new one, also after a crash. One process at a time may do
    so. Raises `OSError`.
    """
    temporary = path.with_name(f"{path.name}{UNFINISHED}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)
