"""`sendryd migrate`."""

from typing import Any


def test_shows_and_applies(cli: Any) -> None:
    pending = cli.json("migrate", "--dry-run")["pending"]
    assert pending[0] == "0001_initial"
    assert not cli.data_dir.exists()
    assert cli.run("migrate").stderr.splitlines() == [f"applied: {name}" for name in pending]
    assert cli.json("migrate", "--dry-run") == {"pending": []}
    assert cli.json("migrate") == {"applied": []}
    assert cli.run("migrate").stderr == "The database is up to date.\n"
    assert cli.data_dir.stat().st_mode & 0o777 == 0o700
    assert (cli.data_dir / "sendryd.db").stat().st_mode & 0o777 == 0o600


def test_makes_no_new_database_beside_the_remains_of_one(cli: Any) -> None:
    cli.run("migrate")
    (cli.data_dir / "spool").mkdir()
    (cli.data_dir / "spool" / "0000000001.seg").write_bytes(b"somebody's mail")
    (cli.data_dir / "sendryd.db").unlink()
    for command in (("migrate",), ("queue", "list")):
        assert "there are remains of one" in cli.fault(*command)
    assert not (cli.data_dir / "sendryd.db").exists()
