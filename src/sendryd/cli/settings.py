"""What all commands that do something read first: the settings."""

from sendryd.app.settings import Settings, SettingsError, load_settings
from sendryd.cli.options import options
from sendryd.cli.output import WRONG_USAGE, fail


def read_settings() -> Settings:
    """The settings, or one line and status 2."""
    try:
        return load_settings(config=options.config)
    except SettingsError as error:
        fail(str(error), WRONG_USAGE)
