"""The tool that builds folders as a power cut leaves them: it keeps what was synced, and loses what was not."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from sendryd.testing.powercut import Disk, Kept, open_positions, read_trace, recorded

PROGRAM = """
import os, sys
sys.stdin.readline()
os.chdir(sys.argv[1])
folder = os.open(".", os.O_RDONLY)
old = os.open("old", os.O_WRONLY)
os.write(old, b"NEW")            # not synced
synced = os.open("synced", os.O_WRONLY | os.O_CREAT)
os.write(synced, b"a" * 5000)
os.fsync(synced)
os.fsync(folder)
os.write(synced, b"b")           # not synced
nameless = os.open("nameless", os.O_WRONLY | os.O_CREAT)
os.write(nameless, b"c")
os.fsync(nameless)               # the folder is not
os.rename(sys.argv[1] + "/before", sys.argv[1] + "/after")  # not synced
os.truncate(old, 1)
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.mark.needs("strace")
def test_a_disk_has_what_was_synced(tmp_path: Path) -> None:
    folder, copy = tmp_path / "folder", tmp_path / "copy"
    for each in (folder, copy):
        each.mkdir()
        (each / "old").write_bytes(b"old content")
        (each / "before").write_bytes(b"x")
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        with recorded(program.pid, tmp_path / "trace"):
            positions = open_positions(program.pid)
            program.stdin.write(b"\n")
            program.stdin.flush()
            assert program.stdout.readline() == b"done\n"
        program.kill()
    disk = Disk(folder, copy, positions)
    for call in read_trace(tmp_path / "trace"):
        disk.apply(call)
    found = {}
    for kept in Kept:
        disk.build(tmp_path / kept.name, kept, random.Random(1))
        found[kept] = {path.name: path.read_bytes() for path in (tmp_path / kept.name).iterdir()}
    assert found[Kept.NONE] == {"old": b"old content", "before": b"x", "synced": b"a" * 5000}
    assert found[Kept.ALL] == {"old": b"N", "after": b"x", "synced": b"a" * 5000 + b"b", "nameless": b"c"}
    assert found[Kept.ALL] == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found[Kept.SOME]["synced"][:5000] == b"a" * 5000
