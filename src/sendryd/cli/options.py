"""Options that several commands have, and what stands before the command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(slots=True)
class Options:
    """What stands before the command."""

    config: Path | None = None


options: Final = Options()
