"""`sendryd restore`: a data directory of a backup."""

from pathlib import Path
from typing import Annotated

import typer

from sendryd.cli.options import Json
from sendryd.cli.output import explain, fail, print_json, say
from sendryd.cli.settings import read_settings
from sendryd.store.errors import StoreError

app = typer.Typer(add_completion=False)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A file that `sendryd backup` has made.")],
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty data directory, and check all of it. What waited is marked as a possible duplicate."""
    from sendryd.app.archive import NotABackup
    from sendryd.app.backup import CannotRestore
    from sendryd.app.backup import restore as restore_backup

    settings = read_settings()
    if settings.database_url:
        fail(
            "a backup of the embedded database cannot be restored into PostgreSQL:"
            " restore a dump of the server's database with pg_restore, as docs/operations/running.md shows"
        )
    data_dir = settings.data_dir
    try:
        done = restore_backup(source, data_dir)
    except (NotABackup, StoreError) as error:
        fail(f"{source} cannot be restored: {error}")
    except CannotRestore as error:
        fail(str(error))
    except OSError as error:
        fail(explain(error))
    if as_json:
        print_json(
            {
                "data_dir": str(data_dir),
                "files": done.files,
                "messages": done.spool.messages,
                "waiting": done.waiting,
                "is_whole": done.spool.is_whole,
                "messages_without_content": done.spool.affected,
            }
        )
        return
    say(f"{data_dir} is restored. Files: {done.files:,}. Messages: {done.spool.messages:,}. Deliveries that wait: {done.waiting:,}.")
    if done.waiting:
        say("They go out at the next start, and what follows is marked as a possible duplicate.")
    if not done.spool.is_whole:
        say(f"The contents of {done.spool.affected:,} messages were lost before the backup was made; their deliveries will be held.")
