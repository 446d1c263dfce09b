"""`sendryd check`, which is not available yet."""

import typer

from sendryd.cli.output import WRONG_USAGE, fail

app = typer.Typer(add_completion=False)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def check() -> None:
    """Examine the installation (not available yet)."""
    fail("check is not available yet", WRONG_USAGE)
