"""Where a running `serve` listens, for commands beside it whose settings leave the port to the system: its lock file says so."""

import json
from dataclasses import dataclass
from pathlib import Path

from sendryd.app.values import Address

LOCK_NAME = "serve.lock"


@dataclass(frozen=True, slots=True)
class Served:
    """The addresses that are bound. None: not known."""

    smtp: Address | None = None
    http: Address | None = None


def note_served(data_dir: Path, served: Served) -> None:
    """Writes them into the lock file, which the caller has locked. Raises OSError."""
    said = {name: [each.host, each.port] for name, each in (("smtp", served.smtp), ("http", served.http)) if each is not None}
    with (data_dir / LOCK_NAME).open("r+", encoding="utf-8") as file:
        file.truncate()
        file.write(json.dumps(said))


def read_served(data_dir: Path) -> Served:
    """What the latest `serve` on a data directory has written."""
    try:
        said = json.loads((data_dir / LOCK_NAME).read_text("utf-8"))
        return Served(**{name: Address(str(host), int(port)) for name, (host, port) in said.items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return Served()
