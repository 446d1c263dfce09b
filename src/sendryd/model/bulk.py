"""A change of many deliveries at once: what was chosen is counted, a person agrees to the count, and the server works it off in batches."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, BulkJobId, MessageId, PersonId


class BulkChange(StrEnum):
    """What is done to each delivery, or to its recipient."""

    TRY = "try"  # it becomes due now
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    SUPPRESS = "suppress"  # the recipient gets no further mail


class BulkState(StrEnum):
    """Where a job is."""

    COUNTING = "counting"
    COUNTED = "counted"  # waits for a person who agrees
    WORKING = "working"
    DONE = "done"
    STOPPED = "stopped"  # by a person, or because the person may not do it any more


# The states of the deliveries that a change applies to.
STATES_OF: Final = {
    BulkChange.TRY: frozenset({DeliveryState.QUEUED}),
    BulkChange.CANCEL: frozenset({DeliveryState.QUEUED, DeliveryState.HELD}),
    BulkChange.HOLD: frozenset({DeliveryState.QUEUED}),
    BulkChange.RELEASE: frozenset({DeliveryState.HELD}),
    BulkChange.SUPPRESS: frozenset(DeliveryState),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which deliveries: those of chosen messages, those of all messages that a search finds, or all to a recipient domain."""

    messages: tuple[MessageId, ...] = ()
    query: str | None = None  # the text of the search; empty: every live message
    domain: str | None = None  # with messages: of those, the deliveries to this domain
    is_of_all_accounts: bool = False  # an operator's, of the queue


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkJob:
    """One such change."""

    id: BulkJobId
    account_id: AccountId
    person_id: PersonId
    actor: str  # the person's email, for the audit
    name: str  # the person's
    address: str  # of the person's browser
    change: BulkChange
    reason: str  # why mail is held; empty for the other changes
    selection: Selection
    state: BulkState
    is_agreed: bool  # the work follows the count at once
    position: int  # messages with ids below it have not been counted yet
    created_at: datetime
    looked_at: int = 0  # messages
    counted: int = 0  # deliveries that are to be changed
    handled: int = 0  # of those, the ones that were taken up
    changed: int = 0  # of those, the ones that were still in a state that allows the change
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.state in {BulkState.DONE, BulkState.STOPPED}
