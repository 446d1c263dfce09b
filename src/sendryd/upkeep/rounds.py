"""The loop shared by all upkeep: a round, a pause, until cancelled. A round that fails in the store is logged and repeated after the pause."""

from collections.abc import Awaitable, Callable

from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.errors import StoreError

log = get_logger("upkeep")


async def run_rounds(
    run_once: Callable[[], Awaitable[None]],
    clock: Clock,
    *,
    interval: float,
    failure: str,
    rand: Rand | None = None,
    does_pause_first: bool = False,
) -> None:
    """Runs rounds with `interval` seconds between them, changed by up to a tenth with `rand`. `failure` is the log event of a failed round."""
    does_pause = does_pause_first
    while True:
        if does_pause:
            await clock.sleep(interval if rand is None else interval * (1 + rand.jitter() / 10))
        does_pause = True
        try:
            await run_once()
        except StoreError as error:
            log.error(failure, error=repr(error))
