"""What a terminal shows, and what it does not show a file."""

import os
import re
import subprocess
import sys
from typing import Any

COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|38)[0-9;]*m")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(cli: Any, *args: str, **env: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    ours, theirs = os.openpty()
    surroundings = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    child = subprocess.Popen(
        [sys.executable, "-m", "sendryd", *args],
        env={**surroundings, **cli.env, "TERM": "xterm", "COLUMNS": "80", **env},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65_536):
            written += part
    except OSError:  # so a terminal says that nobody writes to it any more
        pass
    finally:
        os.close(ours)
    child.wait(30)
    return written.decode().replace("\r\n", "\n")


def test_what_is_copied_into_the_next_command_is_whole_on_a_narrow_terminal(cli: Any) -> None:
    made = cli.json("keys", "create", "--name", "a name that takes more than its share of the line, and then some", "--expires", "90d")
    shown = ESCAPE.sub("", on_terminal(cli, "keys", "list"))
    assert shown.splitlines()[0].split()[:3] == ["id", "name", "mode"]
    row = next(line for line in shown.splitlines() if made["id"] in line)
    assert made["name"] in row
    assert made["expires_at"] in row
