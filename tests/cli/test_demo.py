"""`sendryd demo`: all of it, and nothing left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.sockets


def test_the_whole_path(tmp_path: Path) -> None:
    # Settings of the surroundings, even wrong ones, are no part of its world.
    env = {**os.environ, "TMPDIR": str(tmp_path), "SENDRYD_NONSENSE": "1", "SENDRYD_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, "-m", "sendryd", "demo", "--json"], env=env, capture_output=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["tls"], result["dkim"]) == ("delivered", True, "pass")
    assert result["events"] == ["queued", "sent", "delivered"]
    assert result["headers"][0].startswith("DKIM-Signature: v=1; a=rsa-sha256;")
    assert b"\x1b" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_world_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    code = "import sys, sendryd.testing.process as p; p.sys.executable = '/bin/false'; import sendryd.cli.main as m; sys.argv = ['', 'demo']; m.run()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=90, check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b"the demonstration failed: " in done.stderr
    assert list(tmp_path.iterdir()) == []
