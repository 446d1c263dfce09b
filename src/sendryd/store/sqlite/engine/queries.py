"""The named statements of the engine."""

from typing import Final

from sendryd.store.sqlite.engine.loading import load

SQL: Final = load(__package__)
