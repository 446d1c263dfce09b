"""`sendryd version`."""

import typer

from sendryd import __version__
from sendryd.cli.options import Json
from sendryd.cli.output import print_json

app = typer.Typer(add_completion=False)


@app.command()
def version(as_json: Json = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        typer.echo(__version__)
