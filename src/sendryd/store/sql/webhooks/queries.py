"""The named statements of this folder."""

from typing import Final

from sendryd.store.drivers.loading import load

SQL: Final = load(__package__)
