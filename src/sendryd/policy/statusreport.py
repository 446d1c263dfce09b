"""Which reports a sender gets of a delivery, and how many (RFC 3461). Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntFlag
from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId

DELAYED_AFTER: Final = timedelta(hours=4)  # RFC 5321 §4.5.4.1 expects mail to wait for days; other servers warn after 4 hours
WINDOW: Final = timedelta(hours=1)
MAX_OF_ADDRESS: Final = 100  # reports to one address in an hour: a mailbox must not be flooded with them
MAX_OF_ACCOUNT: Final = 2000  # reports for one account in an hour
_MAX_ADDRESSES: Final = 10_000  # that are counted at a time


class Report(IntFlag):
    """The reports that are still owed for a delivery."""

    NOTHING = 0
    FAILURE = 1
    DELAY = 2
    SUCCESS = 4


_WORDS: Final = {"FAILURE": Report.FAILURE, "DELAY": Report.DELAY, "SUCCESS": Report.SUCCESS}


def wanted_reports(notify: str | None, *, is_default: bool) -> Report:
    """The reports that a recipient's NOTIFY asks for (RFC 3461 §4.1); without it, of failures, if the sending domain is set so."""
    if notify is None:
        return Report.FAILURE if is_default else Report.NOTHING
    wanted = Report.NOTHING
    for word in notify.upper().split(","):
        wanted |= _WORDS.get(word.strip(), Report.NOTHING)
    return wanted


def due_report(state: DeliveryState) -> Report:
    """The report that fits a delivery in this state; of one that waits, a delay."""
    match state:
        case DeliveryState.BOUNCED | DeliveryState.EXPIRED | DeliveryState.SUPPRESSED:
            return Report.FAILURE
        case DeliveryState.DELIVERED:
            return Report.SUCCESS
        case DeliveryState.QUEUED:
            return Report.DELAY
        case _:
            return Report.NOTHING


@dataclass(slots=True)
class ReportLimit:
    """Counts the reports of the present hour, for each account and for each address of one."""

    _began: datetime | None = None
    _accounts: Counter[AccountId] = field(default_factory=Counter)
    _addresses: Counter[tuple[AccountId, str]] = field(default_factory=Counter)

    def take(self, account_id: AccountId, address: str, now: datetime) -> bool:
        """Whether one more report may be sent to this address."""
        if self._began is None or not self._began <= now < self._began + WINDOW or len(self._addresses) > _MAX_ADDRESSES:
            self._began = now
            self._accounts.clear()
            self._addresses.clear()
        key = account_id, address.lower()
        if self._accounts[account_id] >= MAX_OF_ACCOUNT or self._addresses[key] >= MAX_OF_ADDRESS:
            return False
        self._accounts[account_id] += 1
        self._addresses[key] += 1
        return True
