"""`sendryd migrate`: shows and applies schema migrations."""

from typing import Annotated

import typer

from sendryd.cli.options import Json
from sendryd.cli.output import explain, fail, print_json, say
from sendryd.cli.settings import read_settings
from sendryd.store.errors import StoreError

app = typer.Typer(add_completion=False)


@app.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the pending migrations.")] = False,
    as_json: Json = False,
) -> None:
    """Apply pending schema migrations. On SQLite `serve` applies them at its start; on PostgreSQL it waits for this command."""
    from sendryd.app.migrations import apply_configured, list_configured

    settings = read_settings()
    try:
        names = list_configured(settings) if dry_run else apply_configured(settings)
    except StoreError as error:
        fail(str(error))
    except OSError as error:
        fail(explain(error))
    if as_json:
        print_json({"pending" if dry_run else "applied": names})
    elif names:
        for name in names:
            say(f"{'pending' if dry_run else 'applied'}: {name}")
    else:
        say("The database is up to date.")
