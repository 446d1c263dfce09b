"""Says at the start whether the contents of messages are all there."""

from typing import Final

from sendryd.runtime.log import get_logger
from sendryd.store.base import SpoolReport, UpkeepStore

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


async def compare_spool(store: UpkeepStore) -> SpoolReport:
    """Compares the database with the spool. What is wrong is logged at once, in one line. Raises `StoreError`."""
    report = await store.compare_spool()
    if not report.is_whole:
        log.error("spool_compared", **_found(report), affected=report.affected, advice=LOSS_ADVICE)
    elif report.unknown:
        log.warning("spool_compared", **_found(report), advice=UNKNOWN_ADVICE)
    return report


def confirm_spool(report: SpoolReport) -> None:
    """Logs in one line that nothing is wrong, once all is said that a person needs: on a first start, the keys and lines to paste."""
    if report.is_whole and not report.unknown:
        log.info("spool_compared", **_found(report))


def _found(report: SpoolReport) -> dict[str, object]:
    found: dict[str, object] = {"segments": report.segments, "messages": report.messages}
    for name in ("missing", "foreign", "short", "unknown", "other_spool"):
        files: tuple[str, ...] = getattr(report, name)
        if files:
            found[name] = len(files)
            found[f"{name}_files"] = list(files[:MAX_NAMES])
    return found
