"""Says at the start whether the contents of messages are all there."""

from typing import Final

from sendryd.runtime.log import get_logger
from sendryd.store.base import UpkeepStore

MAX_NAMES: Final = 10  # of files in the line; their number is given with them
LOSS_ADVICE: Final = (
    "restore these files of the spool from the backup that belongs to the database; deliveries that need them are held,"
    " and go on with sendryd queue release"
)
UNKNOWN_ADVICE: Final = (
    "these files have messages of another database or of another time: if that is not wanted, stop the program and restore the database"
    " that belongs to them; they are not touched"
)

log = get_logger("serve")


async def report_spool(store: UpkeepStore) -> None:
    """Compares the database with the spool and logs what was found in one line. Raises `StoreError`."""
    report = await store.compare_spool()
    found: dict[str, object] = {"segments": report.segments, "messages": report.messages}
    for name in ("missing", "foreign", "short", "unknown", "other_spool"):
        files: tuple[str, ...] = getattr(report, name)
        if files:
            found[name] = len(files)
            found[f"{name}_files"] = list(files[:MAX_NAMES])
    if not report.is_whole:
        log.error("spool_compared", **found, affected=report.affected, advice=LOSS_ADVICE)
    elif report.unknown:
        log.warning("spool_compared", **found, advice=UNKNOWN_ADVICE)
    else:
        log.info("spool_compared", **found)
