"""`sendryd backup`: the whole installation in one file, while it runs."""

from pathlib import Path
from typing import Annotated

import typer

from sendryd.cli.options import Json
from sendryd.cli.output import explain, fail, print_json, say
from sendryd.cli.settings import read_settings
from sendryd.store.errors import StoreError

app = typer.Typer(add_completion=False)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The file to make. It must not exist.")],
    as_json: Json = False,
) -> None:
    """Save the whole installation in one file, while it runs: database, contents, certificate. The settings are not in it."""
    from sendryd.app.backup import CannotBackUp, back_up
    from sendryd.runtime.clock import SystemClock

    settings = read_settings()
    if settings.database_url:
        fail("the database is on a PostgreSQL server: save it with pg_dump, as docs/operations/running.md shows")
    try:
        made = back_up(settings.data_dir, target, SystemClock().now())
    except (CannotBackUp, StoreError) as error:
        fail(str(error))
    except OSError as error:
        fail(explain(error))
    if as_json:
        print_json({"path": str(target), "files": made.files, "octets": made.octets})
    else:
        say(f"{target}: {made.files:,} files, {made.octets:,} octets. It has private keys and mail: keep it where nobody else can read it.")
