"""Logs at the start whether the spool has the content of every message."""

from typing import Final

from sendryd.runtime.log import get_logger
from sendryd.store.base import SpoolReport, UpkeepStore

MAX_NAMES: Final = 10  # of files in the line; their number is given with them
LOSS_ADVICE: Final = (
    "restore these files of the spool from the backup that belongs to the database; deliveries that need them are held"
    " until sendryd queue release"
)
UNKNOWN_ADVICE: Final = (
    "the database does not know these files: they belong to another database or to an earlier state of this one; they are not touched."
    " If mail is missing, stop the program and restore the database that belongs to them"
)

WHOLE: Final = "the spool has the content of every message in the database"

log = get_logger("serve")


async def compare_spool(store: UpkeepStore) -> SpoolReport:
    """Compares the database with the spool, and logs missing, damaged or unknown files in one line. Raises `StoreError`."""
    report = await store.compare_spool()
    if not report.is_whole:
        log.error("spool_compared", **_found(report), affected=report.affected, advice=LOSS_ADVICE)
    elif report.unknown:
        log.warning("spool_compared", **_found(report), advice=UNKNOWN_ADVICE)
    return report


def confirm_spool(report: SpoolReport) -> None:
    """Logs that the spool is whole, after the greeting: on a first start the keys and the commands to paste come before it."""
    if report.is_whole and not report.unknown:
        log.info("spool_compared", result=WHOLE, **_found(report))


def _found(report: SpoolReport) -> dict[str, object]:
    found: dict[str, object] = {"segments": report.segments, "messages": report.messages}
    for name in ("missing", "foreign", "short", "unknown", "other_spool"):
        files: tuple[str, ...] = getattr(report, name)
        if files:
            found[name] = len(files)
            found[f"{name}_files"] = list(files[:MAX_NAMES])
    return found
