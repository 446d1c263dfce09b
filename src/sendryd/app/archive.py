"""The file of a backup: a tar archive whose first member says what it is and whose last one lists the others, with size and SHA-256.

A file of another program is recognised by its first octets; one that was cut off or altered is never taken for whole.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from sendryd.store.dialoguefiles import FOLDER as DIALOGUES
from sendryd.store.drivers.sqlite import FILE_NAME, SPOOL_NAME

FORMAT: Final = 1
LABEL: Final = "sendryd-backup.json"
CONTENTS: Final = "contents.json"
TLS: Final = "tls"
PIECE: Final = 1024 * 1024  # octets read at once
MAX_LIST: Final = 64 * 1024 * 1024  # octets of the list of files: half a million of them
_NAME: Final = re.compile(
    rf"{re.escape(FILE_NAME)}|{SPOOL_NAME}/\d{{10,15}}\.seg|{TLS}/(?:cert|key)\.pem|{DIALOGUES}/(?:delivered|failed)-[0-9]{{13}}-[0-9a-f]{{1,16}}"
)


class NotABackup(Exception):
    """The file cannot be restored; the message says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the data directory in a backup."""

    name: str
    size: int  # octets
    sha256: str


class Writing:
    """A backup that is being written."""

    def __init__(self, file: IO[bytes], about: dict[str, str]) -> None:
        """`about` is for people: what was saved, and when."""
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `end`
        self._members: list[Member] = []
        self._add_json(LABEL, {"format": FORMAT, **about})

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """A file of the data directory: exactly `size` octets, zeros for those that it has lost meanwhile. Raises `OSError`."""
        source = _Hashed(file, size)
        self._tar.addfile(_info(name, size), source)
        self._members.append(Member(name, size, source.sha256))

    def end(self) -> None:
        """Writes the list. Raises `OSError`."""
        self._add_json(CONTENTS, [[each.name, each.size, each.sha256] for each in self._members])
        self._tar.close()

    def _add_json(self, name: str, value: object) -> None:
        data = json.dumps(value).encode("ascii")
        self._tar.addfile(_info(name, len(data)), io.BytesIO(data))


def extract(file: IO[bytes], folder: Path) -> Iterator[Member]:
    """Writes the files of a backup into a folder; gives each. Raises `NotABackup` and `OSError`."""
    seen: list[Member] = []
    is_ours = False
    try:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            _check_label(tar, tar.next())
            is_ours = True
            while (entry := tar.next()) is not None:
                if entry.name == CONTENTS:
                    if seen != _read_list(tar, entry):
                        raise NotABackup("it is damaged: its files are not as they were written")
                    return
                seen.append(_extract_one(tar, entry, folder))
                yield seen[-1]
    except (tarfile.TarError, EOFError) as error:
        raise NotABackup(f"it is damaged or cut off: {error}" if is_ours else "it is no backup of sendryd") from None
    raise NotABackup("it is cut off: the list of its files is missing")


def _check_label(tar: tarfile.TarFile, entry: tarfile.TarInfo | None) -> None:
    label = _read_json(tar, entry) if entry is not None and entry.name == LABEL and entry.size <= PIECE else None
    if not isinstance(label, dict) or "format" not in label:
        raise NotABackup("it is no backup of sendryd")
    if label["format"] != FORMAT:
        raise NotABackup("a newer version of sendryd made it; upgrade the program")


def _read_list(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> list[Member]:
    found: Any = _read_json(tar, entry) if entry.size <= MAX_LIST else None
    try:
        return [Member(name, size, sha256) for name, size, sha256 in found]
    except (TypeError, ValueError):
        raise NotABackup("it is damaged: the list of its files cannot be read") from None


def _read_json(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> object:
    file = tar.extractfile(entry)
    try:
        return json.loads(file.read()) if file is not None else None
    except ValueError:
        return None


def _extract_one(tar: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> Member:
    file = tar.extractfile(entry) if entry.isreg() else None
    if file is None or not _NAME.fullmatch(entry.name):
        raise NotABackup("it is damaged: it has something that no backup has")
    path = folder / entry.name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    source = _Hashed(file, entry.size)
    with path.open("xb") as target:
        path.chmod(0o600)
        while piece := source.read(PIECE):
            target.write(piece)
    return Member(entry.name, entry.size, source.sha256)


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


class _Hashed(io.RawIOBase):
    """Exactly `size` octets of a file, with their hash."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        piece = self._file.read(wanted)
        piece += bytes(wanted - len(piece))
        self._left -= len(piece)
        self._hash.update(piece)
        return piece
