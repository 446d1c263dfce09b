"""`sendryd backup` and `sendryd restore` on a data directory that nobody uses, and files that are no backups."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendryd.app.archive import LABEL
from sendryd.testing.samples import Samples


def elsewhere(cli: Any, data_dir: Path) -> Any:
    return type(cli)(data_dir)


def fill(cli: Any) -> str:
    """A message that waits; gives the id of a key."""
    key: str = cli.json("keys", "create", "--name", "kept")["id"]

    async def accept(basics: Any) -> None:
        await basics.store.accept(Samples().message(["ann@example.org"], content=b"Subject: kept\r\n\r\nthe content\r\n"))

    cli.store(accept)
    return key


def remake(path: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], list[tuple[tarfile.TarInfo, bytes]]]) -> None:
    """Writes a backup anew with other members."""
    with tarfile.open(path) as tar:
        members = [(entry, (tar.extractfile(entry) or io.BytesIO()).read()) for entry in tar]
    with tarfile.open(path, "w") as tar:
        for entry, data in change(members):
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


@pytest.fixture
def saved(cli: Any, tmp_path: Path) -> Path:
    fill(cli)
    path = tmp_path / "saved"
    cli.run("backup", str(path))
    return path


def test_an_installation_is_saved_and_restored_whole(cli: Any, tmp_path: Path) -> None:
    key = fill(cli)
    made = cli.json("backup", str(tmp_path / "saved"))
    assert (made["path"], made["files"]) == (str(tmp_path / "saved"), 2)
    assert (tmp_path / "saved").stat().st_size == made["octets"]
    assert (tmp_path / "saved").stat().st_mode & 0o777 == 0o600
    other = elsewhere(cli, tmp_path / "other")
    assert other.json("restore", str(tmp_path / "saved")) == {
        "data_dir": str(tmp_path / "other"),
        "files": 2,
        "messages": 1,
        "waiting": 1,
        "is_whole": True,
        "messages_without_content": 0,
    }
    assert [each["id"] for each in other.json("keys", "list")["data"]] == [key]
    assert [each["recipient"] for each in other.json("queue", "list")["data"]] == ["ann@example.org"]
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o700
    assert {path.name for path in tmp_path.iterdir()} >= {"saved", "other"}
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


def test_nothing_is_written_over(cli: Any, saved: Path, tmp_path: Path) -> None:
    before = saved.read_bytes()
    assert "exists; name a new file" in cli.fault("backup", str(saved))
    assert saved.read_bytes() == before
    assert "is not empty" in cli.fault("restore", str(saved))
    assert "there is no database" in elsewhere(cli, tmp_path / "nothing").fault("backup", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_backup_that_is_cut_off_anywhere_restores_nothing(cli: Any, saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    other = elsewhere(cli, tmp_path / "other")
    for length in (0, 100, 511, 2_000, len(whole) // 2, whole.index(b"contents.json")):
        saved.write_bytes(whole[:length])
        assert "cannot be restored" in other.fault("restore", str(saved))
        assert [path.name for path in other.data_dir.iterdir()] == ["serve.lock"]
    saved.write_bytes(whole)
    assert other.json("restore", str(saved))["is_whole"]


@pytest.mark.parametrize("word", [b"the content", b"SQLite format 3", b"sha256"])
def test_an_altered_backup_restores_nothing(cli: Any, saved: Path, tmp_path: Path, word: bytes) -> None:
    whole = saved.read_bytes()
    place = whole.rindex(b'"') - 3 if word == b"sha256" else whole.index(word)
    saved.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert "it is damaged" in elsewhere(cli, tmp_path / "other").fault("restore", str(saved))


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "spool/../../escaped", "sendryd.db-wal", "tls/other.pem"])
def test_a_foreign_member_is_refused(cli: Any, saved: Path, tmp_path: Path, name: str) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [members[0], (tarfile.TarInfo(name), b"x"), *members[1:]]

    remake(saved, change)
    assert "something that no backup has" in elsewhere(cli, tmp_path / "other").fault("restore", str(saved))
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_is_refused(cli: Any, saved: Path, tmp_path: Path) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> list[tuple[tarfile.TarInfo, bytes]]:
        link = tarfile.TarInfo("tls/key.pem")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        return [members[0], (link, b""), *members[1:]]

    remake(saved, change)
    assert "something that no backup has" in elsewhere(cli, tmp_path / "other").fault("restore", str(saved))


def test_a_backup_of_a_newer_program_and_other_files_are_told_apart(cli: Any, saved: Path, tmp_path: Path) -> None:
    other = elsewhere(cli, tmp_path / "other")

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> list[tuple[tarfile.TarInfo, bytes]]:
        assert members[0][0].name == LABEL
        return [(members[0][0], json.dumps({"format": 99}).encode()), *members[1:]]

    remake(saved, change)
    assert "a newer version of sendryd made it" in other.fault("restore", str(saved))
    saved.write_bytes(os.urandom(50_000))
    assert "it is no backup of sendryd" in other.fault("restore", str(saved))
    assert "No such file" in other.fault("restore", str(tmp_path / "nothing"))


def test_a_restoration_that_was_cut_off_is_begun_anew(cli: Any, saved: Path, tmp_path: Path) -> None:
    other = elsewhere(cli, tmp_path / "other")
    (other.data_dir / "restore.unfinished").mkdir(parents=True)
    (other.data_dir / "spool").mkdir()
    (other.data_dir / "spool" / "0000000001.seg").write_bytes(b"half")
    assert other.json("restore", str(saved))["is_whole"]


def test_contents_that_were_lost_before_are_told(cli: Any, tmp_path: Path) -> None:
    fill(cli)
    for path in (cli.data_dir / "spool").iterdir():
        path.unlink()
    cli.run("backup", str(tmp_path / "saved"))
    other = elsewhere(cli, tmp_path / "other")
    found = other.json("restore", str(tmp_path / "saved"))
    assert (found["is_whole"], found["messages_without_content"]) == (False, 1)


def test_without_its_spool_an_installation_is_not_saved(cli: Any, tmp_path: Path) -> None:
    fill(cli)
    (cli.data_dir / "spool").rename(tmp_path / "elsewhere")
    assert "without its content" in cli.fault("backup", str(tmp_path / "saved"))
    assert not (tmp_path / "saved").exists()


def test_a_database_on_a_server_is_not_saved_here(cli: Any, tmp_path: Path) -> None:
    cli.env["SENDRYD_DATABASE_URL"] = "postgresql://u:secret@127.0.0.1:1/mail"
    fault = cli.fault("backup", str(tmp_path / "file"))
    assert "pg_dump" in fault
    assert "docs/operations/running.md" in fault
    assert "secret" not in fault


def test_nothing_is_restored_into_a_server(cli: Any, tmp_path: Path) -> None:
    cli.env["SENDRYD_DATABASE_URL"] = "postgresql://u:secret@127.0.0.1:1/mail"
    assert "pg_restore" in cli.fault("restore", str(tmp_path / "file"))
