"""Options shared by commands, and the options before the command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(slots=True)
class Options:
    """Options given before the command."""

    config: Path | None = None


options: Final = Options()
