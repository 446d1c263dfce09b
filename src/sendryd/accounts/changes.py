"""Read, change, write: repeated when another process or task changed the same row in between."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sendryd.store.errors import Changed

# Each time, somebody else has succeeded: as many changes of one thing at the same moment go through as there are tries.
MAX_TRIES: Final = 100

Result = TypeVar("Result")


async def reapply(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Run a read-modify-write until no other writer interferes. Raises what `attempt` raises, and `Changed` after `MAX_TRIES`."""
    for _ in range(MAX_TRIES - 1):
        try:
            return await attempt()
        except Changed:
            continue
    return await attempt()
