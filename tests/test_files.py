"""Files and folders that appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from sendryd.files import UNFINISHED, make_folder, write_whole


def test_only_the_last_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        make_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert [(tmp_path / path).stat().st_mode & 0o777 for path in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]
    make_folder(tmp_path / "a")
    with pytest.raises(OSError, match="Not a directory"):
        make_folder(Path(os.devnull) / "a")


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    for call in ("fsync", "rename"):
        with monkeypatch.context() as patch:

            def fail(*_: object) -> None:
                raise OSError(errno.ENOSPC, "injected")

            patch.setattr(os if call == "fsync" else Path, call, fail)
            with pytest.raises(OSError, match="injected"):
                write_whole(path, b"new")
        assert [each.name for each in tmp_path.iterdir()] == ["file"]
        assert path.read_bytes() == b"old"


def test_what_a_kill_has_left_is_written_over(tmp_path: Path) -> None:
    left = tmp_path / f"file{UNFINISHED}"
    left.write_bytes(b"much longer than what is written now")
    left.chmod(0o644)
    write_whole(tmp_path / "file", b"new")
    assert [(each.name, each.stat().st_mode & 0o777, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", 0o600, b"new")]
