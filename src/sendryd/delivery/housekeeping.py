"""What the scheduler has to have done now and then."""

from typing import Final

from sendryd.delivery.scheduler import Scheduler
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.errors import StoreError

KEEP_INTERVAL: Final = 15.0  # seconds between looks for lost leases: few tasks are ever cut off, and each look reads all leases
STALL_INTERVAL: Final = 5.0  # seconds between looks for destinations that stall

log = get_logger("delivery")


async def watch_stalls(scheduler: Scheduler, clock: Clock) -> None:
    """Looks for destinations whose attempts stall, until cancelled."""
    while True:
        await clock.sleep(STALL_INTERVAL)
        scheduler.note_stalls()


async def keep_house(scheduler: Scheduler, clock: Clock) -> None:
    """Returns leases that got lost and forgets lanes, until cancelled."""
    while True:
        await clock.sleep(KEEP_INTERVAL)
        try:
            await scheduler.return_lost_leases()
        except StoreError as error:
            log.error("leases_not_compared", error=repr(error))
        scheduler.forget_lanes()
