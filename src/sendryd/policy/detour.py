"""Detours: the way that a person has given to waiting mail in place of its sending domain's, an address pool or a smart host. Pure.

A delivery holds the text of its detour. Mail with the detour `smarthost` is in the lane of that smart host (`policy.smarthost`).
"""

from typing import Final

from sendryd.valuetype import valuetype

SMART_HOST: Final = "smarthost"
POOL: Final = "pool:"
OPERATOR: Final = 0  # the account of the lanes of such smart hosts: no account has this number


@valuetype(frozen=True, slots=True, kw_only=True)
class DetourHost:
    """A smart host that takes the mail of a detour."""

    lane: str
    url: str  # without the password
    password: str


def pool_detour(pool: str) -> str:
    """The detour from an address pool."""
    return f"{POOL}{pool}"


def pool_of_detour(detour: str) -> str:
    """The address pool of a detour; empty if it is none from a pool."""
    return detour.removeprefix(POOL) if detour.startswith(POOL) else ""


def detour_words(detour: str) -> str:
    """A detour in words, for people."""
    pool = pool_of_detour(detour)
    return f"from the address pool {pool}" if pool else "to a smart host" if detour else ""
