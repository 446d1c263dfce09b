"""The named statements of the engine."""

from typing import Final

from sendryd.store.drivers.loading import load

SQL: Final = load(__package__)
