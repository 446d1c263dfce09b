"""The named statements of this folder."""

from typing import Final

from sendryd.store.sqlite.engine.loading import load

SQL: Final = load(__package__)
