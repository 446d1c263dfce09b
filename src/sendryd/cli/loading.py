"""The commands by name. Each module is loaded when its command is called or explained, so that no command waits for another's imports."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, Final

import typer

NAMES: Final = (
    "serve",
    "send",
    "demo",
    "migrate",
    "version",
    "check",
    "keys",
    "domains",
    "account",
    "suppressions",
    "queue",
    "reports",
    "people",
    "nodes",
    "backup",
    "restore",
)


class Commands(MutableMapping[str, Any]):
    """Commands by name. Each is the Typer `app` of the module of this package that has its name."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = dict.fromkeys(NAMES)

    def __getitem__(self, name: str) -> Any:
        command = self._loaded[name]
        if command is None:
            command = self._loaded[name] = typer.main.get_command(import_module(f"sendryd.cli.{name}").app)
        return command

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)
