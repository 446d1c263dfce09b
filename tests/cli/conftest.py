"""The program's commands, run in this process on a data directory of their own."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog
from typer.testing import CliRunner, Result

from sendryd.app.build import Basics, build_basics
from sendryd.app.settings import load_settings
from sendryd.cli.main import app, config_first

Value = TypeVar("Value")


class CommandLine:
    """`sendryd ...`, and the store that it works on."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.env = {"SENDRYD_DATA_DIR": str(data_dir), "SENDRYD_HOSTNAME": "relay.example.test"}

    def run(self, *args: str, status: int = 0) -> Result:
        """Runs a command, which must end with this status."""
        result = CliRunner().invoke(app, config_first(list(args)), env=self.env)
        assert result.exit_code == status, (result.exit_code, result.stdout, result.stderr, result.exception)
        return result

    def json(self, *args: str) -> dict[str, Any]:
        """The one document that a command with `--json` prints."""
        document: dict[str, Any] = json.loads(self.run(*args, "--json").stdout)
        return document

    def fault(self, *args: str, status: int = 1) -> str:
        """The one line of a command that fails; nothing must be on standard output."""
        result = self.run(*args, status=status)
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        return result.stderr

    def store(self, work: Callable[[Basics], Awaitable[Value]]) -> Value:
        """Does something with the store itself."""

        async def run() -> Value:
            basics = await build_basics(load_settings(self.env))
            try:
                return await work(basics)
            finally:
                await basics.store.aclose()

        return asyncio.run(run())


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    for name in os.environ:
        if name.startswith(("SENDRYD_", "SENDRY_")):
            monkeypatch.delenv(name)
    yield CommandLine(tmp_path / "data")
    structlog.reset_defaults()  # `serve` has set up logs on a standard error that is no more
