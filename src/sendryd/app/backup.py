"""Backup of a data directory while the program runs, and its restoration.

Reads: the database in one transaction, the files of the spool, the certificate that the program made, the dialogues. Settings are not part of it,
nor is what is derived from the database.
Writes: one file, whole or not at all.
The files of the spool are opened before the database is read, so that what is removed meanwhile can still be read; those that are made between the
two are opened after it. A content that the database refers to is in its file before, and is never changed.
When things fail: a restoration that is cut off leaves no data directory that could be taken for one; the next goes on from the beginning.
"""

import asyncio
import fcntl
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from sendryd import __version__
from sendryd.app.archive import TLS, NotABackup, Writing, extract
from sendryd.files import UNFINISHED, make_folder, sync_folder
from sendryd.model.moment import timestamp
from sendryd.store.base import SpoolReport
from sendryd.store.dialoguefiles import FOLDER as DIALOGUES
from sendryd.store.drivers.sqlite import FILE_NAME, SPOOL_NAME
from sendryd.store.sql.mail.restoring import doubt_waiting
from sendryd.store.sqlite.snapshot import check_snapshot, take_snapshot
from sendryd.store.sqlite.store import open_store

RESTORING: Final = f"restore{UNFINISHED}"  # the folder, in the data directory, of a restoration that has not ended
LOCK_NAME: Final = "serve.lock"
OPEN_FILES: Final = 1024 * 1024  # descriptors to ask the system for: 64 TB of contents


class CannotBackUp(Exception):
    """There is nothing to back up, or no place for it; the message says why."""


class CannotRestore(Exception):
    """The message says why."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup has."""

    files: int
    octets: int  # of the backup


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored."""

    files: int
    waiting: int  # deliveries, marked as possible duplicates
    spool: SpoolReport


def back_up(data_dir: Path, target: Path, now: datetime) -> BackedUp:
    """Saves a data directory in a new file, readable by its owner alone. Raises `CannotBackUp`, `StoreError` and `OSError`."""
    if not (data_dir / FILE_NAME).exists():
        raise CannotBackUp(f"there is no database in {data_dir}")
    if not (data_dir / SPOOL_NAME).is_dir():
        raise CannotBackUp(f"there is no {SPOOL_NAME} in {data_dir}: the mail would be saved without its content")
    if target.exists():
        raise CannotBackUp(f"{target} exists; name a new file")
    unfinished, snapshot = target.with_name(f"{target.name}{UNFINISHED}"), target.with_name(f"{target.name}.database{UNFINISHED}")
    for left in (unfinished, snapshot):
        left.unlink(missing_ok=True)
    _raise_file_limit()
    try:
        with ExitStack() as opened:
            segments: dict[str, IO[bytes]] = {}
            _open_new(data_dir / SPOOL_NAME, "*.seg", segments, opened)
            take_snapshot(data_dir, snapshot)
            _open_new(data_dir / SPOOL_NAME, "*.seg", segments, opened)
            others: dict[str, IO[bytes]] = {}
            for folder, pattern in ((data_dir / TLS, "*.pem"), (data_dir / DIALOGUES, "*-*")):
                with suppress(FileNotFoundError):  # made when there is something to put in it
                    _open_new(folder, pattern, others, opened)
            others[FILE_NAME] = opened.enter_context(snapshot.open("rb"))
            found = _write(unfinished, {**others, **segments}, now)
        unfinished.rename(target)
        sync_folder(target.resolve().parent)
    finally:
        for left in (unfinished, snapshot):
            with suppress(OSError):
                left.unlink(missing_ok=True)
    return found


def restore(source: Path, data_dir: Path) -> Restored:
    """Makes a data directory of a backup. Raises `CannotRestore`, `NotABackup`, `StoreError` and `OSError`."""
    make_folder(data_dir)
    with _locked(data_dir), source.open("rb") as file:
        folder = data_dir / RESTORING
        if folder.exists() and not (data_dir / FILE_NAME).exists():  # an earlier one was cut off
            for name in (RESTORING, SPOOL_NAME, TLS, DIALOGUES):
                shutil.rmtree(data_dir / name, ignore_errors=True)
        if any(path.name != LOCK_NAME for path in data_dir.iterdir()):
            raise CannotRestore(f"{data_dir} is not empty; restore into an empty folder (SENDRYD_DATA_DIR)")
        folder.mkdir(mode=0o700)
        try:
            files = sum(1 for _ in extract(file, folder))
            restored = _check(folder, files)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for name in (SPOOL_NAME, TLS, DIALOGUES, FILE_NAME):  # the database last: without it, nothing is taken for a data directory
            if (folder / name).exists():
                (folder / name).rename(data_dir / name)
        sync_folder(data_dir)
        shutil.rmtree(folder)
        sync_folder(data_dir)
    return restored


def _check(folder: Path, files: int) -> Restored:
    """Makes sure that a restored folder can be used, and makes it durable."""
    if not (folder / FILE_NAME).exists():
        raise NotABackup("it has no database")
    check_snapshot(folder / FILE_NAME)
    spool = asyncio.run(_compare(folder))
    waiting = doubt_waiting(folder)
    for path in [*folder.rglob("*"), folder]:
        with suppress(PermissionError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    return Restored(files, waiting, spool)


async def _compare(folder: Path) -> SpoolReport:
    """Opens the store, which applies migrations that the backup lacks."""
    store = open_store(folder, create=False)
    try:
        return await store.compare_spool()
    finally:
        await store.aclose()


def _write(path: Path, files: dict[str, IO[bytes]], now: datetime) -> BackedUp:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as target:
        writing = Writing(target, {"version": __version__, "taken_at": timestamp(now)})
        for name, file in files.items():
            writing.add(name, file, os.fstat(file.fileno()).st_size)
        writing.end()
        target.flush()
        os.fsync(target.fileno())
        return BackedUp(len(files), target.tell())


def _open_new(folder: Path, pattern: str, files: dict[str, IO[bytes]], opened: ExitStack) -> None:
    for path in sorted(
        path for path in folder.iterdir() if path.match(pattern)
    ):  # `glob` takes a folder that it may not read for an empty one
        name = f"{folder.name}/{path.name}"
        if name not in files:
            with suppress(FileNotFoundError):  # removed just now
                files[name] = opened.enter_context(path.open("rb"))


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """No `serve` runs on the folder, nor begins to."""
    descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotRestore(f"sendryd serve is running on {data_dir}; stop it first") from None
        yield
    finally:
        os.close(descriptor)


def _raise_file_limit() -> None:
    """Every file of the spool is open during a backup."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
