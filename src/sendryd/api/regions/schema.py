"""Regions as requests and answers have them. Pure."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator
from typing_extensions import TypedDict

_REGION: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)


def _read_region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError("a region code has 1 to 64 lower case letters, digits and hyphens, as eu-west-1")
    return text


RegionCode = Annotated[str, AfterValidator(_read_region)]


class Region(TypedDict):
    """A region."""

    region_code: str
    display_name: str
    is_default: bool
    active: bool
