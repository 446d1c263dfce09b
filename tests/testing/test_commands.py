"""Commands that are forked from a loaded program: they end and say as those of a program that was started for them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sendryd.testing.commands import run_command, start_command

TIMEOUT = 60.0  # seconds


@pytest.mark.parametrize(
    "args", [["version"], ["nonsense"], ["keys", "list", "--json"], ["keys", "revoke", "key_0000000000000"], ["keys", "create"]]
)
def test_a_command_ends_and_says_as_by_itself(tmp_path: Path, args: list[str]) -> None:
    env = {**os.environ, "SENDRYD_DATA_DIR": str(tmp_path)}
    expected = subprocess.run([sys.executable, "-m", "sendryd", *args], env=env, capture_output=True, check=False, timeout=TIMEOUT)
    for _ in range(2):
        done = run_command(args, env, None, TIMEOUT)
        assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, expected.stdout, expected.stderr)


def test_each_command_has_its_own_environment_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        env = {**os.environ, "SENDRYD_DATA_DIR": "data"}
        run_command(["keys", "create", "--name", name], env, None, TIMEOUT)
        assert (folder / "data" / "sendryd.db").exists()
        assert name.encode() in run_command(["keys", "list"], env, None, TIMEOUT).stdout


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    env = {**os.environ, "SENDRYD_DATA_DIR": str(tmp_path), "SENDRYD_SMTP_LISTEN": "127.0.0.1:0", "SENDRYD_HTTP_LISTEN": "127.0.0.1:0"}
    with pytest.raises(subprocess.TimeoutExpired):
        run_command(["serve"], env, None, 0.1)
    assert run_command(["version"], env, None, TIMEOUT).returncode == 0


def test_a_command_that_was_started_can_be_watched_signalled_and_waited_for(tmp_path: Path) -> None:
    env = {**os.environ, "SENDRYD_DATA_DIR": str(tmp_path), "SENDRYD_SMTP_LISTEN": "127.0.0.1:0", "SENDRYD_HTTP_LISTEN": "127.0.0.1:0"}
    read_end, write_end = os.pipe()
    with open(os.devnull, "r+b") as nothing, open(read_end, "rb") as output:
        command = start_command(["serve", "--json"], env, stdin=nothing.fileno(), stdout=write_end, stderr=nothing.fileno())
        os.close(write_end)
        assert b'"ready"' in output.readline()
        assert command.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(0)
        command.kill()
        assert command.wait(TIMEOUT) == command.poll() == -signal.SIGKILL
        command.send_signal(signal.SIGTERM)  # nobody is there any more
