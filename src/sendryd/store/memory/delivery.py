"""The mutable state of a delivery."""

from dataclasses import dataclass
from datetime import datetime

from sendryd.model.delivery import DeliveryState, HoldReason, may_move
from sendryd.model.message import Message, MessageClass
from sendryd.policy.statusreport import Report
from sendryd.store.base import ClaimedDelivery, HeldBy, Lease, NewDelivery, QueuedDelivery
from sendryd.store.rules import Waiting


@dataclass(slots=True)
class Delivery:
    """A delivery and its present state."""

    new: NewDelivery
    message: Message
    priority: MessageClass
    state: DeliveryState
    due_at: datetime
    lease: Lease | None
    delivered_at: datetime | None
    attempts: int = 0
    is_in_doubt: bool = False
    last_reply: str = ""
    hold_reason: HoldReason | None = None
    held_by: HeldBy | None = None  # only while it is held
    returned: int | None = None  # the token of the last lease, if it ended without an outcome and no worker has leased the delivery since
    crashes: int = 0
    report: Report = Report.NOTHING  # the reports that are still owed
    detour: str | None = None
    is_released: bool = False  # it was held, then released, and not tried since

    def move(self, state: DeliveryState, hold_reason: HoldReason | None = None) -> None:
        """Changes the state along the life cycle. `reason` is for holding it; None: an operator holds it."""
        if not may_move(self.state, state):
            raise AssertionError(f"the life cycle has no move from {self.state} to {state}")
        self.state = state
        self.hold_reason = (hold_reason or HoldReason.OPERATOR) if state is DeliveryState.HELD else None
        self.held_by = None
        if state is not DeliveryState.LEASED:
            self.lease = None

    @property
    def is_held_for_a_time(self) -> bool:
        """The system holds it, and will release it by itself."""
        is_suspended = self.held_by is not None and self.held_by.is_suspended
        return self.state is DeliveryState.HELD and (is_suspended or self.hold_reason is HoldReason.DOMAIN_REMOVED)

    def as_waiting(self) -> Waiting:
        """The values that decide whether a scheduled message can be changed."""
        return Waiting(self.new.id, self.state.value, self.attempts, self.due_at)

    def is_held_by(self, lease: Lease) -> bool:
        """Whether the lease is the delivery's present lease, or its returned one."""
        return self.lease == lease or (self.state is DeliveryState.QUEUED and self.returned == lease.token)

    def give_back(self) -> None:
        """Queues a leased delivery whose attempt has no outcome."""
        self.returned = self.lease.token if self.lease else None
        self.move(DeliveryState.QUEUED)
        self.is_in_doubt = True


def read_claimed(delivery: Delivery) -> ClaimedDelivery:
    """The delivery as a worker leases it."""
    return ClaimedDelivery(
        id=delivery.new.id,
        forward_path=delivery.new.forward_path,
        domain=delivery.new.domain,
        attempts=delivery.attempts,
        is_in_doubt=delivery.is_in_doubt,
        notify=delivery.new.notify,
        orcpt=delivery.new.orcpt,
        last_reply=delivery.last_reply,
        priority=delivery.priority,
        detour=delivery.detour or "",
    )


def read_queued(delivery: Delivery) -> QueuedDelivery:
    """The delivery as an operator sees it."""
    return QueuedDelivery(
        id=delivery.new.id,
        message=delivery.message,
        forward_path=delivery.new.forward_path,
        domain=delivery.new.domain,
        state=delivery.state,
        attempts=delivery.attempts,
        due_at=delivery.due_at,
        created_at=delivery.message.waits_since,
        last_reply=delivery.last_reply,
        hold_reason=delivery.hold_reason,
        crashes=delivery.crashes,
        held_by=delivery.held_by,
        is_copy=delivery.new.is_copy,
        detour=delivery.detour or "",
    )
