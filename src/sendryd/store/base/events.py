"""Events, stored in the transaction of the facts that they report."""

from dataclasses import field
from typing import Protocol

from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import EventId
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to store with the fact that it reports. Its id must be greater than the ids of earlier events."""

    id: EventId
    type: EventType
    metadata: Metadata = field(default_factory=dict)


class EventMaker(Protocol):
    """Makes the event of a change that the store itself decides."""

    def __call__(self, event_type: EventType, metadata: Metadata) -> NewEvent: ...
