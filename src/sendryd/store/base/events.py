"""Events to be stored with the facts that they tell of."""

from dataclasses import field
from typing import Protocol

from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import EventId
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to be stored with the fact that it tells of. Its id must be greater than those made before it."""

    id: EventId
    type: EventType
    metadata: Metadata = field(default_factory=dict)


class EventMaker(Protocol):
    """Makes the event for a change that a store finds by itself."""

    def __call__(self, event_type: EventType, metadata: Metadata) -> NewEvent: ...
