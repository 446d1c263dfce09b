"""Computing on contents: small ones at once, large ones in a thread, so that the loop answers others meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

# Octets. Work on more takes milliseconds, beside which the way to a thread and back (about 100 µs) does not count.
LARGE: Final = 256 * 1024

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


async def compute(size: int, work: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
    """What `work` gives for these arguments. `size`: octets that it works on."""
    if size > LARGE:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)
