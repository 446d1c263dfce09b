"""How the dashboard looks in one browser, kept in a cookie of that browser. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LOOK_COOKIE: Final = "sendryd-look"
LOOK_AGE: Final = 400 * 24 * 3600  # seconds: the longest that browsers keep a cookie
THEMES: Final = ("system", "light", "dark")
DENSITIES: Final = ("roomy", "compact")
KEYS: Final = ("on", "off")


@dataclass(frozen=True, slots=True)
class Look:
    """What a person has chosen."""

    theme: str = "system"
    density: str = "roomy"
    keys: str = "on"  # whether single letters are commands

    def to_cookie(self) -> str:
        """The cookie's value."""
        return f"{self.theme}.{self.density}.{self.keys}"


def read_look(cookie: str) -> Look:
    """The look of a cookie; whatever is not one of our words is the usual."""
    words = [*cookie.split("."), "", "", ""]
    return make_look({"theme": words[0], "density": words[1], "keys": words[2]})


def make_look(fields: Mapping[str, str]) -> Look:
    """The look of a form."""
    return Look(
        _one(fields.get("theme", ""), THEMES, "system"),
        _one(fields.get("density", ""), DENSITIES, "roomy"),
        _one(fields.get("keys", ""), KEYS, "on"),
    )


def _one(word: str, words: tuple[str, ...], usual: str) -> str:
    return word if word in words else usual
