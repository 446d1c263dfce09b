"""Writes down what can be seen of the program from outside, so that two checkouts can be compared.

    python tools/outside.py before.json      # with the Python of one checkout, then with that of the other
    python tools/outside.py --diff before.json after.json

The document has the API description, event words, metrics, settings with their defaults, exit statuses, replies and refusals, and the command
line. The program is started for the first and the third; everything else is read from the code of the checkout whose Python this is.
"""

import importlib
import io
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

os.environ |= {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}

import typer

import sendryd
from sendryd.app.settings import PREFIX, Settings
from sendryd.cli.main import app
from sendryd.model.event import EventType
from sendryd.model.webhook import WebhookEvent
from sendryd.policy.refusal import CATALOGUE
from sendryd.smtp.reply import Reply

REPLIES_IN = ("sendryd.smtp", "sendryd.submission")
TIMEOUT = 60.0  # seconds for one command
COMMANDS = {  # whose exit status and words are compared: usage, settings and what is not there
    "version": ("version",),
    "unknown command": ("frobnicate",),
    "unknown option": ("serve", "--frobnicate"),
    "missing argument": ("queue", "show"),
    "missing configuration": ("--config", "/nonexistent/sendryd.toml", "keys", "list"),
    "no database": ("keys", "list"),
    "no queue": ("queue", "list"),
    "no such delivery": ("queue", "show", "em_0000000000000"),
}


def environment(folder: str) -> dict[str, str]:
    """Settings of a program that reaches nobody."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    own = {"DATA_DIR": f"{folder}/data", "HOSTNAME": "relay.example.test", "SMTP_LISTEN": "127.0.0.1:0", "HTTP_LISTEN": "127.0.0.1:0"}
    return others | {f"{PREFIX}{name}": value for name, value in own.items()}


def served() -> dict[str, Any]:
    """What the running program answers: the description of the API, and the names of its metrics."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sendryd", "serve", "--json"]
        process = subprocess.Popen(command, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            address = ready["http"] if ready["http"].startswith("http") else f"http://{ready['http']}"
            description = json.loads(_get(f"{address}/openapi.json"))
            metrics = [line for line in _get(f"{address}/metrics").decode().splitlines() if line.startswith("# ")]
            return {"ready": sorted(ready), "openapi": description, "metrics": sorted(metrics)}
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310  our own server
        found: bytes = answer.read()
        return found


def settings() -> dict[str, list[str]]:
    """Each setting with its default and meaning."""
    return {f"{PREFIX}{name.upper()}": [str(field.default), field.description or ""] for name, field in Settings.model_fields.items()}


def replies() -> list[str]:
    """Everything that the SMTP server says by itself, as it goes on the wire."""
    found: set[str] = set()
    for package in map(importlib.import_module, REPLIES_IN):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                values = value.values() if isinstance(value, Mapping) else [value]
                found |= {each.encoded.decode() for each in values if isinstance(each, Reply)}
    return sorted(found)


def refusals() -> dict[str, list[str]]:
    """Each refusal at both doors."""
    return {
        key.value: [f"{each.smtp_code} {each.smtp_enhanced}", f"{each.http_status} {each.http_code}", each.sentence]
        for key, each in CATALOGUE.items()
    }


def command_line() -> dict[str, str]:
    """The help page of each command: its arguments, options and defaults."""
    return dict(_help_pages((), typer.main.get_command(app)))


def _help_pages(words: tuple[str, ...], command: Any) -> Iterator[tuple[str, str]]:
    with redirect_stdout(io.StringIO()) as printed, suppress(SystemExit):
        app([*words, "--help"], prog_name="sendryd")
    yield " ".join(("sendryd", *words)), "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())
    for word, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _help_pages((*words, word), inner)


def exits() -> dict[str, list[Any]]:
    """Exit status and words of some commands."""
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, list[Any]] = {}
        for name, words in COMMANDS.items():
            command = [sys.executable, "-m", "sendryd", *words]
            ended = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=TIMEOUT, check=False)
            said = (
                f"{ended.stdout}{ended.stderr}".replace(folder, "FOLDER")
                .replace(f"{sys.executable} -m ", "")
                .replace(sendryd.__version__, "VERSION")
            )
            found[name] = [ended.returncode, said]
        return found


def document() -> dict[str, Any]:
    """Everything."""
    return {
        **served(),
        "events": [each.value for each in EventType],
        "webhook_events": [each.value for each in WebhookEvent],
        "settings": settings(),
        "replies": replies(),
        "refusals": refusals(),
        "commands": command_line(),
        "exits": exits(),
    }


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """A line for each place in which two documents differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from differences(before.get(name), after.get(name), f"{place}/{name.replace('/', '~1')}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{place}/{index}")
    elif isinstance(before, list) and isinstance(after, list):
        yield from (f"{place}\n  - {each!r}" for each in before if each not in after)
        yield from (f"{place}\n  + {each!r}" for each in after if each not in before)
    elif before != after:
        yield f"{place}\n  - {before!r}\n  + {after!r}"


def main(arguments: list[str]) -> int:
    """Writes the document, or compares two; 1 if they differ."""
    if arguments[:1] == ["--diff"] and len(arguments) == 3:
        before, after = (json.loads(Path(name).read_text("utf-8")) for name in arguments[1:])
        found = list(differences(before, after))
        sys.stdout.writelines(f"{line}\n" for line in found)
        return 1 if found else 0
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    Path(arguments[0]).write_text(json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
