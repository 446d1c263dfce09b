"""What all commands share: where `--config` may stand, exit statuses, one line for what goes wrong."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
import typer

from sendryd import __version__
from sendryd.cli.main import app, config_first
from sendryd.cli.output import print_line, say


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([], []),
        (["serve"], ["serve"]),
        (["--config", "f", "serve"], ["--config", "f", "serve"]),
        (["serve", "--config", "f", "--json"], ["--config", "f", "serve", "--json"]),
        (["keys", "list", "--config=f"], ["--config=f", "keys", "list"]),
        (["domains", "show", "--", "--config", "f"], ["domains", "show", "--", "--config", "f"]),
        (["serve", "--config"], ["--config", "serve"]),
    ],
)
def test_where_the_configuration_file_may_be_named(given: list[str], read: list[str]) -> None:
    assert config_first(given) == read


def test_a_configuration_file(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "sendryd.toml"
    file.write_text('dkim_selector = "fromfile"\n')
    added = cli.json("domains", "add", "example.test", "--config", str(file))
    assert any(record["name"].startswith("fromfile.") for record in added["dns_records"])
    file.write_text("nonsense = 1\n")
    assert "nonsense" in cli.fault("keys", "list", f"--config={file}", status=2)
    assert "cannot be read" in cli.fault("keys", "list", "--config", str(tmp_path / "missing"), status=2)


def test_version(cli: Any) -> None:
    for words in ("version", "--version"):
        assert cli.run(words).stdout == f"{__version__}\n"
    assert cli.json("version") == {"version": __version__}


def commands_of(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands, with the words that call them."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, *path, name)
        else:
            yield (*path, name), command


def test_every_command_explains_itself_and_can_print_json(cli: Any) -> None:
    commands = dict(commands_of(typer.main.get_command(app)))
    assert len(commands) > 20
    for words, command in commands.items():
        assert command.help, words
        assert "--json" in cli.run(*words, "--help").stdout, words
        assert cli.run(*words, "--nonsense", status=2).stdout == "", words


def test_wrong_usage(cli: Any) -> None:
    for args in (
        (),
        ("nonsense",),
        ("keys", "create"),
        ("keys", "list", "--nonsense"),
        ("keys", "create", "--name", "x", "--mode", "dead"),
    ):
        result = cli.run(*args, status=2)
        assert "Usage:" in result.stderr + result.stdout


@pytest.mark.parametrize("variable", ["SENDRYD_NONSENSE", "SENDRYD_MX_PORT", "SENDRYD_DATABASE_URL"])
def test_a_bad_setting_stops_every_command(cli: Any, variable: str) -> None:
    cli.env[variable] = "mysql://localhost/x"
    for args in (("keys", "list"), ("domains", "list", "--json"), ("queue", "list"), ("migrate",), ("serve", "--json")):
        assert variable in cli.fault(*args, status=2)


@pytest.mark.sockets
def test_a_name_server_that_is_not_known(cli: Any) -> None:
    cli.env["SENDRYD_DNS_RESOLVER"] = "name-that-is.invalid:53"
    assert "SENDRYD_DNS_RESOLVER" in cli.fault("keys", "list", status=2)


def test_a_data_directory_that_cannot_be(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    cli.env["SENDRYD_DATA_DIR"] = str(file / "below")
    for args in (("keys", "list"), ("migrate",), ("serve",)):
        line = cli.fault(*args)
        assert line.startswith(f"sendryd: {file / 'below'}")
        assert line.endswith(": Not a directory\n")


def test_a_database_that_is_none(cli: Any) -> None:
    cli.data_dir.mkdir()
    (cli.data_dir / "sendryd.db").write_text("this is no database, and it is long enough to be looked at " * 100)
    for args in (("keys", "list"), ("migrate",), ("serve",)):
        assert "database" in cli.fault(*args)


def test_a_database_of_a_newer_version(cli: Any) -> None:
    cli.run("migrate")
    connection = apsw.Connection(str(cli.data_dir / "sendryd.db"))
    connection.execute("INSERT INTO schema_migration VALUES (9999, 'from the future', '')")
    connection.close()
    for args in (("keys", "list"), ("migrate",), ("serve",)):
        assert "newer" in cli.fault(*args)


def test_strangers_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("a\x1b[31m", "b\r\n\x9b1m")
    say("one\n\ttwo\x1b]0;title\x07")
    captured = capsys.readouterr()
    assert captured.out == "a [31m\tb   1m\n"
    assert captured.err == "one\n\ttwo ]0;title \n"


def test_a_fault_of_ours_is_one_line(tmp_path: Path) -> None:
    code = "import sendryd.cli.main as m; m.app = lambda _: 1 // 0; m.run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b"internal error: ZeroDivisionError" in done.stderr


def test_whoever_reads_the_output_may_stop_early(cli: Any) -> None:
    for number in range(3):
        cli.run("keys", "create", "--name", f"key {number}")
    command = f"{sys.executable} -m sendryd keys list | true"
    done = subprocess.run(command, shell=True, capture_output=True, check=False, env={**cli.env, "PATH": "/usr/bin:/bin"})
    assert done.stderr == b""
