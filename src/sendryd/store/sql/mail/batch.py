"""The rows and outcomes of a batch, stored by statements of many rows for all its operations together.

Every step of the engine releases and takes back the interpreter lock, and each time the thread may have to wait for it: a batch of seven messages
and seven outcomes takes ten steps instead of forty.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sendryd.store.base import Lease, NewEvent, NewSuppression, NewUnsubscribe, Outcome
from sendryd.store.codec.deliveries import outcome_row
from sendryd.store.codec.events import EventSubject, event_row
from sendryd.store.codec.values import to_json
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row, fetch_value
from sendryd.store.sql.lists.adding import suppress, unsubscribe
from sendryd.store.sql.mail.queries import SQL
from sendryd.store.sql.place import Place, place_of
from sendryd.store.sql.webhooks.outbox import owe_events

LIVE: Final = "live"  # the stream of an event whose message was deleted


NewRow = dict[str, Any]
Content = tuple[int, bytes]  # with its message's id


@dataclass(slots=True)
class Recording:
    """The outcomes of one attempt: all are stored, or none if one of the leases is lost."""

    lease: Lease
    outcomes: Sequence[Outcome]
    moment: int  # milliseconds
    is_lost: bool = False
    suppressed: list[tuple[int, str]] = field(default_factory=list)  # account and address


@dataclass(slots=True)
class Rows:
    """The rows that the operations add, stored at the end of the batch: outcomes take effect after all other changes of the batch."""

    messages: list[NewRow] = field(default_factory=list)  # without the places of their contents
    amended: list[NewRow] = field(default_factory=list)  # of amended messages, without the places of their contents
    new_contents: list[Content] = field(default_factory=list)  # one for each message
    amended_contents: list[Content] = field(default_factory=list)  # one for each amended one
    deliveries: list[NewRow] = field(default_factory=list)
    events: list[NewRow] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    suppressions: list[tuple[int, NewSuppression, int]] = field(default_factory=list)  # with the account and the time in milliseconds
    unsubscribes: list[tuple[int, NewUnsubscribe, int]] = field(default_factory=list)

    @property
    def contents(self) -> list[Content]:
        """Contents of new messages, then of amended ones."""
        return self.new_contents + self.amended_contents if self.amended_contents else self.new_contents

    @property
    def count(self) -> int:
        """Number of rows that operations have added without a statement of their own."""
        return len(self.events) + len(self.recordings) + len(self.suppressions) + len(self.unsubscribes)

    @property
    def new_deliveries(self) -> list[int]:
        """The ids of new deliveries."""
        return [row["id"] for row in self.deliveries]

    def add_events(self, subject: EventSubject, events: Iterable[NewEvent], moment: int) -> None:
        """Adds events of a delivery."""
        metadata, text = None, None
        for event in events:
            if event.metadata is not metadata:  # events of one attempt share their metadata
                metadata, text = event.metadata, to_json(event.metadata) if event.metadata else None
            self.events.append(event_row(subject, event, moment, text))

    def lock(self, connection: Connection, deliveries: Sequence[int]) -> None:
        """Locks deliveries in the order of their ids."""
        connection.rows(SQL["lock_deliveries"], {"ids": to_json(list(deliveries))})

    def place(self, connection: Connection, places: Sequence[Place]) -> list[Place]:
        """Stores messages with the places of their contents. Returns the places of contents that no message refers to any more."""
        new, left = len(self.messages), list[Place]()
        for row, place in zip(self.messages, places[:new], strict=True):
            row["segment"], row["position"] = place.segment, place.position
        connection.put(SQL["insert_message"], self.messages)
        # One message may be amended twice in a batch, so its old place is looked up here, one by one.
        for row, place in zip(self.amended, places[new:], strict=True):
            old = fetch_row(connection, SQL["read_content"], id=row["id"])
            left.append(place_of(row["id"], old) if old else place)  # the message was deleted meanwhile: nothing refers to the new content
            change(connection, SQL["amend_message"], **row, segment=place.segment, position=place.position)
        return left

    def store(self, connection: Connection) -> None:
        """Stores all other rows."""
        connection.put(SQL["insert_delivery"], self.deliveries)
        if self.recordings:
            _record(connection, self)
        # In the same order by every process: none waits for an address of another one that waits for one of its own.
        for account_id, suppression, moment in sorted(self.suppressions, key=lambda each: (each[0], each[1].email)):
            suppress(connection, account_id, suppression, moment)
        for account_id, new, moment in sorted(self.unsubscribes, key=lambda each: (each[0], each[1].email, each[1].list_id or "")):
            unsubscribe(connection, account_id, new, moment)
        connection.put(SQL["insert_event"], self.events)
        owe_events(connection, self.events)


@dataclass(slots=True)
class _Held:
    """The present or returned lease of a delivery, and the subject of its events."""

    fence: tuple[int | None, str | None, int | None]  # token, node, boot; the last two are None if the lease was returned
    subject: EventSubject


def _record(connection: Connection, rows: Rows) -> None:
    held = _find_held(connection, rows.recordings)
    outcomes: list[NewRow] = []
    reasons: list[NewRow] = []  # of the deliveries that become held, which are few
    returned: list[int] = []  # deliveries whose lease was returned, and that no worker has leased since
    for recording in rows.recordings:
        recording.suppressed = []  # an earlier try of the batch may have filled it
        recording.is_lost = not _holds(held, recording)
        if recording.is_lost:
            continue
        for outcome in recording.outcomes:
            found = held.pop(outcome.delivery_id)  # the first outcome ends the lease: a second one finds none
            if found.fence[2] is None:
                returned.append(outcome.delivery_id)
            outcomes.append(outcome_row(outcome, recording.moment))
            if outcome.hold_reason is not None:
                reasons.append({"id": outcome.delivery_id, "hold_reason": outcome.hold_reason.value})
            rows.add_events(found.subject, outcome.events, recording.moment)
            if outcome.suppression is not None:
                rows.suppressions.append((found.subject.account_id, outcome.suppression, recording.moment))
                recording.suppressed.append((found.subject.account_id, outcome.suppression.email))
    if returned:
        change(connection, SQL["lease_again"], ids=to_json(returned))
    connection.put(SQL["record_outcome"], outcomes)
    for row in reasons:
        change(connection, SQL["set_hold_reason"], **row)


def _find_held(connection: Connection, recordings: Sequence[Recording]) -> dict[int, _Held]:
    numbers = to_json([outcome.delivery_id for recording in recordings for outcome in recording.outcomes])
    # By position: with eight names for each delivery, the JSON would be mostly names.
    found: list[list[Any]] = json.loads(fetch_value(connection, SQL["leased_deliveries"], ids=numbers))
    return {
        number: _Held((token, node, boot), EventSubject(number, message_id, forward_path, account_id or 0, mode or LIVE))
        for number, token, node, boot, message_id, forward_path, account_id, mode in found
    }


def _holds(held: dict[int, _Held], recording: Recording) -> bool:
    token, owner = recording.lease.token, recording.lease.owner
    fences = ((token, owner.node, owner.boot), (token, None, None))
    found = (held.get(outcome.delivery_id) for outcome in recording.outcomes)
    return all(each is not None and each.fence in fences for each in found)
