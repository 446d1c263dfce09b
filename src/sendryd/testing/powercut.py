"""Power cuts: what a program wrote is recorded call by call, and its folder is built again as a disk may have it at any moment.

strace records the calls. A write that is not synced may be on the disk or not, page by page and in any order; an entry of a directory is there for sure
once the directory was synced, and unsynced changes of directories reach the disk in their order, as file systems with a journal have it.
"""

import random
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from sendryd.testing.waiting import wait_until

CALLS: Final = (
    *("openat", "mkdir", "rename", "link", "unlink", "rmdir", "write", "writev", "pwrite64", "lseek", "ftruncate", "fallocate"),
    *("fsync", "fdatasync"),
)
PAGE: Final = 4096  # octets that a disk has or has not; less is torn by none of today's
LONGEST: Final = 16 << 20  # octets of one write
ATTACHED: Final = 20.0  # seconds
_LINE: Final = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
_HEX: Final = re.compile(r"(?:\\x[0-9a-f]{2})+")
_OF_FILE: Final = re.compile(r"^(\d+)<([^>]*)>")
_QUOTED: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_START: Final = re.compile(r"^\w+<([^>]*)>, ")  # the folder that a name is relative to
_RESUMED: Final = re.compile(r"^<\.\.\. \w+ resumed>(.*)$")


class Kept(StrEnum):
    """What a disk has of the writes that were not synced."""

    NONE = "nothing unsynced"
    SOME = "some pages of what was unsynced"
    ALL = "all that was written"


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as strace saw it begin and end."""

    began: int  # the line of the trace at which it began
    ended: int
    moment: float  # when it began: seconds of the wall clock
    name: str
    args: str  # strings are in hexadecimal
    result: int


@dataclass(slots=True)
class File:
    """An inode: what the disk has for sure, and what was written since."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, int, bytes | None]] = field(default_factory=list)  # line, offset, data; None: the offset is the new size

    @property
    def size(self) -> int:
        """As the program sees it."""
        size = len(self.synced)
        for _, offset, data in self.pending:
            size = offset if data is None else max(size, offset + len(data))
        return size

    def sync(self, line: int) -> None:
        """Writes that ended before a line of the trace reach the disk."""
        left = []
        for change in self.pending:
            if change[0] < line:
                _apply(self.synced, change[1], change[2])
            else:
                left.append(change)
        self.pending = left

    def content(self, kept: Kept, chance: random.Random) -> bytes:
        """As the disk may have it."""
        found = bytearray(self.synced)
        for _, offset, data in self.pending if kept is not Kept.NONE else ():
            if kept is Kept.ALL or data is None:
                _apply(found, offset, data)
                continue
            for first in range(offset - offset % PAGE, offset + len(data), PAGE):
                if chance.random() < 0.5:
                    start, end = max(first, offset), min(first + PAGE, offset + len(data))
                    _apply(found, start, data[start - offset : end - offset])
        return bytes(found)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    else:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data


Entries = dict[str, "File | None"]  # None: a folder


class Disk:
    """A folder, from a copy of it on, as calls change it."""

    def __init__(self, folder: Path, copy: Path, positions: dict[int, int]) -> None:
        """`folder` is the one of the program, `copy` what it was like at first, `positions` the offsets of its open files."""
        self._top = str(folder)
        self._synced: Entries = {"": None}
        for path in sorted(copy.rglob("*")):
            name = str(path.relative_to(copy))
            self._synced[name] = File(bytearray(path.read_bytes())) if path.is_file() else None
        self._now = dict(self._synced)
        self._unsynced: list[tuple[int, str, File | None, bool]] = []  # line, name, inode, whether it is there now
        self._positions = positions

    def _name(self, path: str) -> str | None:
        inside = path == self._top or path.startswith(self._top + "/")
        return path[len(self._top) + 1 :] if inside and not path.endswith("(deleted)") else None

    def _set(self, line: int, name: str, inode: File | None, *, is_there: bool) -> None:
        self._unsynced.append((line, name, inode, is_there))
        _change(self._now, name, inode, is_there=is_there)

    def _sync(self, call: Call, name: str) -> None:
        inode = self._now.get(name)
        if inode is not None:
            inode.sync(call.began)
            return
        left = []
        for change in self._unsynced:
            if change[0] < call.began and change[1].rpartition("/")[0] == name:
                _change(self._synced, change[1], change[2], is_there=change[3])
            else:
                left.append(change)
        self._unsynced = left

    def apply(self, call: Call) -> bool:
        """Does what a call did. False if that was nothing in this folder."""
        if call.result < 0:
            return False
        strings = [bytes.fromhex(match[1].replace("\\x", "")) for match in _QUOTED.finditer(call.args)]
        on_file = _OF_FILE.match(call.args)
        if call.name in {"openat", "mkdir", "rename", "link", "unlink", "rmdir"}:
            start = _START.match(call.args)
            where = Path(_decoded(start[1]) if start else "")
            return self._apply_to_names(call, [self._name(str(where / each.decode())) for each in strings])
        name = self._name(_decoded(on_file[2])) if on_file else None
        if on_file is None or name is None or name not in self._now:
            return False
        return self._apply_to_file(call, int(on_file[1]), name, strings)

    def _apply_to_names(self, call: Call, names: list[str | None]) -> bool:
        first = names[0]
        if first is None:
            return False
        match call.name:
            case "openat":
                self._positions[call.result] = 0
                if first not in self._now and "O_CREAT" in call.args:
                    self._set(call.ended, first, File(), is_there=True)
                elif "O_TRUNC" in call.args and (inode := self._now[first]) is not None:
                    inode.pending.append((call.ended, 0, None))
                if "O_APPEND" in call.args and (inode := self._now[first]) is not None:
                    self._positions[call.result] = inode.size
            case "mkdir":
                self._set(call.ended, first, None, is_there=True)
            case "unlink" | "rmdir":
                self._set(call.ended, first, self._now.get(first), is_there=False)
            case _:
                inode, second = self._now.get(first), names[1]
                if call.name == "rename":
                    self._set(call.ended, first, inode, is_there=False)
                if second is not None:
                    self._set(call.ended, second, inode, is_there=True)
        return True

    def _apply_to_file(self, call: Call, descriptor: int, name: str, strings: list[bytes]) -> bool:
        if call.name in {"fsync", "fdatasync"}:
            self._sync(call, name)
            return True
        inode = self._now[name]
        if inode is None:
            return False
        numbers = [int(each) for each in re.findall(r", (\d+)", _QUOTED.sub("", call.args))]
        if call.name == "lseek":
            self._positions[descriptor] = call.result
            return False
        if call.name in {"ftruncate", "fallocate"}:
            size = numbers[-1] if call.name == "ftruncate" else max(inode.size, numbers[-2] + numbers[-1])
            inode.pending.append((call.ended, size, None))
            return True
        data = b"".join(strings)[: call.result]
        if call.name == "pwrite64":
            offset = numbers[-1]
        else:
            offset = self._positions.get(descriptor, inode.size)
            self._positions[descriptor] = offset + len(data)
        inode.pending.append((call.ended, offset, data))
        return True

    def build(self, folder: Path, kept: Kept, chance: random.Random) -> None:
        """Makes a folder as the disk may have it after a power cut now."""
        entries = dict(self._synced)
        count = {Kept.NONE: 0, Kept.ALL: len(self._unsynced)}.get(kept, chance.randint(0, len(self._unsynced)))
        for _, name, inode, is_there in self._unsynced[:count]:
            _change(entries, name, inode, is_there=is_there)
        folder.mkdir(0o700)
        for name, inode in sorted(entries.items()):
            path = folder / name
            if name and inode is None and path.parent.is_dir():
                path.mkdir(0o700, exist_ok=True)
            elif inode is not None and path.parent.is_dir():
                path.write_bytes(inode.content(kept, chance))
                path.chmod(0o600)


def _change(entries: Entries, name: str, inode: File | None, *, is_there: bool) -> None:
    if is_there:
        entries[name] = inode
    else:
        entries.pop(name, None)


def _decoded(text: str) -> str:
    return _HEX.sub(lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "replace"), text)


def read_trace(path: Path) -> list[Call]:
    """The calls of a trace, in the order in which they ended."""
    calls, begun = [], {}
    with path.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                continue
            thread, moment, text, began = found[1], float(found[2]), found[3], number
            if text.endswith("<unfinished ...>"):
                begun[thread] = (number, moment, text.removesuffix("<unfinished ...>").rstrip())
                continue
            if (resumed := _RESUMED.match(text)) and thread in begun:
                began, moment, first = begun.pop(thread)
                text = first + resumed[1]
            if match := re.match(r"^(\w+)\((.*)\) += (-?\d+)", text):
                calls.append(Call(began, number, moment, match[1], match[2], int(match[3])))
    return calls


@contextmanager
def recorded(process: int, trace: Path) -> Iterator[None]:
    """Records the calls of a running process and its threads, with all that they write."""
    command = [
        *("strace", "-f", "-qq", "-ttt", "-xx", "-y", "-s", str(LONGEST), "-o", str(trace), "-p", str(process)),
        *("-e", f"trace={','.join(CALLS)}", "-e", "signal=none"),
    ]
    status = Path(f"/proc/{process}/status")
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as strace:
        assert wait_until(lambda: f"TracerPid:\t{strace.pid}\n" in status.read_text("ascii"), ATTACHED)
        try:
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(ATTACHED)


def open_positions(process: int) -> dict[int, int]:
    """The offset of each open file of a process."""
    found = {}
    for entry in Path(f"/proc/{process}/fdinfo").iterdir():
        try:
            found[int(entry.name)] = int(entry.read_text("ascii").split()[1])
        except FileNotFoundError:  # it was closed meanwhile
            continue
    return found
