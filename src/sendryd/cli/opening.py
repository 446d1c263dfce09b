"""Opens the store for commands, and turns failures into one line."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar

import typer

from sendryd.accounts.audit import By, Client
from sendryd.app.build import DEFAULT_ACCOUNT, Basics, build_basics
from sendryd.app.settings import SettingsError
from sendryd.app.values import parse_duration
from sendryd.cli.output import WRONG_USAGE, explain, fail
from sendryd.cli.settings import read_settings
from sendryd.store.errors import StoreError

AUTHOR: Final = By(account_id=DEFAULT_ACCOUNT, actor="operator", client=Client())  # how the audit names the command line

Result = TypeVar("Result")


class CommandFailed(Exception):
    """The command failed; the message is the line that says why."""


def duration(text: str | None, parse: Callable[[str], timedelta] = parse_duration) -> timedelta | None:
    """The duration of an option, or None. Raises `typer.BadParameter`."""
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def with_store(work: Callable[[Basics], Awaitable[Result]]) -> Result:
    """Runs a command's work on the opened store. Failures end the command with one line."""
    settings = read_settings()

    async def run() -> Result:
        basics = await build_basics(settings)
        try:
            return await work(basics)
        finally:
            with suppress(StoreError):
                await basics.store.aclose()

    try:
        return asyncio.run(run())
    except SettingsError as error:
        fail(str(error), WRONG_USAGE)
    except (StoreError, CommandFailed) as error:
        fail(str(error) or type(error).__name__)
    except OSError as error:
        fail(explain(error))
