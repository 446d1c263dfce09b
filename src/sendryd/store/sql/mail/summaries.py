"""Messages with the totals of their deliveries and events."""

from collections.abc import Sequence

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.message import MessageStatus, MessageSummary, derive_status
from sendryd.store.codec.messages import show_message
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import from_ms, to_json
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import fetch_rows
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.sql.mail.queries import SQL


def status_of(summary: MessageSummary) -> MessageStatus:
    """The public status of a summary."""
    return derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained)


def of_status(summaries: list[MessageSummary], status: MessageStatus | None) -> list[MessageSummary]:
    """The summaries with a status, or all of them."""
    return [each for each in summaries if status is None or status_of(each) is status]


def summarise(connection: Connection, rows: Sequence[Row | None], unreadable: Unreadable) -> list[MessageSummary]:
    """Summaries of the messages in these rows, from one query of all their deliveries and one of all their events."""
    messages = unreadable.keep(rows, show_message)
    numbers = to_json([message.id for message in messages])
    deliveries: dict[int, list[Row]] = {}
    for row in fetch_rows(connection, SQL["summarise_deliveries"], ids=numbers):
        deliveries.setdefault(row["message_id"], []).append(row)
    events = {row["message_id"]: row for row in fetch_rows(connection, SQL["summarise_events"], ids=numbers)}
    summaries = []
    for message in messages:
        groups, last = deliveries.get(message.id, []), events.get(message.id)
        sent = min((row["delivered_at"] for row in groups if row["delivered_at"] is not None), default=None)
        summaries.append(
            MessageSummary(
                message=message,
                states={DeliveryState(row["state"]): row["number"] for row in groups},
                has_attempts=any(row["attempts"] for row in groups),
                is_complained=bool(last and last["complaints"]),
                sent_at=None if sent is None else from_ms(sent),
                last_event=EventType(last["type"]) if last and last["type"] else None,
            )
        )
    return summaries
