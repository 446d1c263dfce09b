"""What the operations of a batch add: rows and outcomes by statements of many rows, for all operations together.

Every step of the engine gives up and takes back the interpreter lock, and each time the thread may have to wait for it: a batch of seven
messages and seven outcomes takes ten steps instead of forty.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import apsw

from sendryd.model.delivery import DeliveryState
from sendryd.store.base import Lease, NewEvent, Outcome
from sendryd.store.codec.values import to_json, to_ms_or_none
from sendryd.store.sqlite.engine.references import fill_segment, leave_segment
from sendryd.store.sqlite.engine.segments import Appended
from sendryd.store.sqlite.lists.adding import suppress
from sendryd.store.sqlite.mail.queries import SQL
from sendryd.store.sqlite.webhooks.outbox import owe_events

# Rows of one statement. A common number of them takes one step; each statement takes some kilobytes once it was used.
CHUNKS: Final = (32, *range(16, 0, -1))
MAX_REPLY: Final = 1000  # characters of a reply that are kept
LIVE: Final = "live"  # the stream of an event whose message is gone

Row = tuple[Any, ...]
Content = tuple[int, bytes]  # with its message's id


@dataclass(slots=True)
class Recording:
    """The outcomes of one attempt: stored all of them, or, if one of the leases is not held any more, none."""

    lease: Lease
    outcomes: Sequence[Outcome]
    moment: int  # milliseconds
    is_lost: bool = False
    suppressed: list[tuple[int, str]] = field(default_factory=list)  # account and address


@dataclass(slots=True)
class Rows:
    """What the operations add, to be stored at the end of the batch. So an outcome counts behind whatever else the batch does."""

    messages: list[Row] = field(default_factory=list)  # without where their contents are
    amended: list[Row] = field(default_factory=list)  # of messages that get another content; also without where it is
    new_contents: list[Content] = field(default_factory=list)  # one for each message
    amended_contents: list[Content] = field(default_factory=list)  # one for each amended one
    deliveries: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)

    @property
    def contents(self) -> list[Content]:
        """What is appended to the segments: of new messages, then of amended ones."""
        return self.new_contents + self.amended_contents if self.amended_contents else self.new_contents

    @property
    def count(self) -> int:
        """Rows that an operation may leave without a statement of its own."""
        return len(self.events) + len(self.recordings)

    def place(self, connection: apsw.Connection, appended: Appended) -> None:
        """Stores messages whose contents have been appended to a segment."""
        _place(connection, self, appended)

    def store(self, connection: apsw.Connection) -> None:
        """Stores everything else."""
        _store(connection, self)


def add_events(rows: Rows, delivery: Sequence[Any], events: Iterable[NewEvent], moment: int) -> None:
    """Adds events of a delivery: its id, message, forward-path, account and mode, as the statements return them."""
    delivery_id, message_id, forward_path, account_id, mode = delivery
    metadata, text = None, None
    for event in events:
        if event.metadata is not metadata:  # several events of an attempt share theirs
            metadata, text = event.metadata, to_json(event.metadata) if event.metadata else None
        rows.events.append((event.id, message_id, delivery_id, account_id or 0, mode or LIVE, event.type.value, forward_path, moment, text))


def _place(connection: apsw.Connection, rows: Rows, appended: Appended) -> None:
    segment, positions = appended.segment, appended.positions
    fill_segment(connection, segment, len(positions), appended.end)
    new = len(rows.messages)
    placed = [(*row, segment.number, position) for row, position in zip(rows.messages, positions[:new], strict=True)]
    _insert(connection, "insert_message", placed)
    # One message may be amended twice in a batch, so what it refers to is looked up here, one by one.
    for row, position in zip(rows.amended, positions[new:], strict=True):
        old = connection.execute(SQL["read_content"], row[:1]).fetchone()
        leave_segment(connection, old[0] if old else segment.number)  # gone since: nobody refers to the new content
        connection.execute(SQL["amend_message"], (*row, segment.number, position))


def _store(connection: apsw.Connection, rows: Rows) -> None:
    _insert(connection, "insert_delivery", rows.deliveries)
    if rows.recordings:
        _record(connection, rows)
    _insert(connection, "insert_event", rows.events)
    owe_events(connection, rows.events)


def _record(connection: apsw.Connection, rows: Rows) -> None:
    numbers = to_json([outcome.delivery_id for recording in rows.recordings for outcome in recording.outcomes])
    found: list[list[Any]] = json.loads(connection.execute(SQL["leased_deliveries"], (numbers,)).get)
    held: dict[int, tuple[Row, Row]] = {row[0]: (tuple(row[1:4]), (row[0], *row[4:])) for row in found}
    values: list[Row] = []
    reasons: list[Row] = []  # of those that are held from now on, which are few
    returned: list[int] = []  # deliveries whose lease was returned, and that nobody has leased since
    for recording in rows.recordings:
        recording.suppressed = []  # whatever an earlier try of the batch has left
        token, owner = recording.lease.token, recording.lease.owner
        fences = ((token, owner.node, owner.boot), (token, None, None))
        recording.is_lost = any(held.get(outcome.delivery_id, (None,))[0] not in fences for outcome in recording.outcomes)
        if recording.is_lost:
            continue
        for outcome in recording.outcomes:
            fence, delivery = held.pop(outcome.delivery_id)  # whoever comes second does not hold it any more
            if fence[2] is None:
                returned.append(outcome.delivery_id)
            values.append(
                (
                    outcome.delivery_id,
                    outcome.state.value,
                    to_ms_or_none(outcome.due_at),
                    1 if outcome.is_attempt else 0,
                    outcome.reply[:MAX_REPLY],
                    recording.moment if outcome.state is DeliveryState.DELIVERED else None,
                    1 if outcome.leaves_doubt else 0,
                )
            )
            if outcome.hold_reason is not None:
                reasons.append((outcome.hold_reason.value, outcome.delivery_id))
            add_events(rows, delivery, outcome.events, recording.moment)
            if outcome.suppression is not None:
                account_id = delivery[3] or 0
                suppress(connection, account_id, outcome.suppression, recording.moment)
                recording.suppressed.append((account_id, outcome.suppression.email))
    if returned:
        connection.execute(SQL["lease_again"], (to_json(returned),)).fetchall()
    _insert(connection, "record_outcome", values)
    for row in reasons:
        connection.execute(SQL["set_hold_reason"], row)


def _multi_row(name: str, count: int) -> str:
    head, values, tail = _split(SQL[name])
    return f"{head}{', '.join([values] * count)}{tail}"


def _split(statement: str) -> tuple[str, str, str]:
    """A statement with one row of VALUES: what is before the row, the row, what is behind it."""
    before, keyword, rest = statement.partition("VALUES ")
    values, bracket, behind = rest.partition(")")
    return before + keyword, values + bracket, behind


_STATEMENTS: Final = {
    (name, count): _multi_row(name, count)
    for name in ("insert_message", "insert_delivery", "insert_event", "record_outcome")
    for count in CHUNKS
}


def _insert(connection: apsw.Connection, name: str, rows: Sequence[Row]) -> None:
    position, left = 0, len(rows)
    for size in CHUNKS:
        while left >= size:
            flat = [value for row in rows[position : position + size] for value in row]
            connection.execute(_STATEMENTS[name, size], flat)
            position += size
            left -= size
