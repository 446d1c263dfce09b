"""Reads the settings for commands."""

from sendryd.app.settings import Settings, SettingsError, load_settings
from sendryd.cli.options import options
from sendryd.cli.output import WRONG_USAGE, fail


def read_settings() -> Settings:
    """The settings. Invalid ones end the command with one line and status 2."""
    try:
        return load_settings(config=options.config)
    except SettingsError as error:
        fail(str(error), WRONG_USAGE)
