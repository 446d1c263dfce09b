"""Leases deliveries that a look at the queue has chosen."""

from collections.abc import Sequence

from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.model.message import Message
from sendryd.store.base import Claim, ClaimedDelivery, Lease
from sendryd.store.codec.deliveries import read_claimed
from sendryd.store.codec.messages import read_claimable
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import to_json
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_rows
from sendryd.store.drivers.unreadable import NOT_TEXT, Unreadable
from sendryd.store.errors import RowUnreadable
from sendryd.store.sql.mail.queries import SQL


def lease_chosen(
    connection: Connection, chosen: Sequence[int], lease: Lease, moment: int, unreadable: Unreadable, shards: str
) -> list[Claim]:
    """Leases the deliveries that are still queued and due, in this order: some may have been cancelled or postponed since they were chosen.
    Unreadable deliveries, and those of unreadable messages, are held.
    """
    owner, ids = lease.owner, to_json(chosen)
    values = {"token": lease.token, "node": owner.node, "boot": owner.boot, "ids": ids, "moment": moment, "shards": shards}
    leased = unreadable.fetch(connection, SQL["lease_deliveries"], None, values)
    rows = [row for row in leased if row is not None]
    places = {number: place for place, number in enumerate(chosen)}
    rows.sort(key=lambda row: places[row["id"]])
    messages = _read_messages(connection, rows, unreadable)
    deliveries = {delivery.id: delivery for delivery in unreadable.keep(rows, read_claimed)}
    held = [row["id"] for row in rows if row["message_id"] not in messages or row["id"] not in deliveries]
    if len(rows) < len(leased):
        held += _find_not_text(connection, ids, lease, {row["id"] for row in rows}, unreadable)
    if held:
        change(connection, SQL["hold_unreadable"], ids=to_json(held), token=lease.token)
    groups: dict[tuple[int, str, str], list[ClaimedDelivery]] = {}
    for row in rows:
        if row["message_id"] in messages and row["id"] in deliveries:
            found = deliveries[row["id"]]
            groups.setdefault((row["message_id"], row["domain"], found.detour), []).append(found)
    return [
        Claim(message=messages[number], domain=domain, deliveries=tuple(group), lease=lease)
        for (number, domain, _), group in groups.items()
    ]


def _read_messages(connection: Connection, rows: Sequence[Row], unreadable: Unreadable) -> dict[int, Message]:
    """The messages of deliveries that can be sent. Reports deliveries whose message is missing."""
    numbers = {row["message_id"] for row in rows}
    found = unreadable.fetch(connection, SQL["get_messages"], MESSAGE_PREFIX, {"ids": to_json(list(numbers))})
    if None not in found:
        lost = numbers.difference(row["id"] for row in found if row is not None)
        for row in rows:
            if row["message_id"] in lost:
                unreadable.note(RowUnreadable(format_id(DELIVERY_PREFIX, row["id"]), "its message is gone"))
    return {message.id: message for message in unreadable.keep(found, read_claimable)}


def _find_not_text(connection: Connection, ids: str, lease: Lease, known: set[int], unreadable: Unreadable) -> list[int]:
    """The leased deliveries with a text that is not UTF-8: those that the statement returned without ids. Reports each."""
    numbers = [row["id"] for row in fetch_rows(connection, SQL["list_leased_now"], ids=ids, token=lease.token) if row["id"] not in known]
    for number in numbers:
        unreadable.note(RowUnreadable(format_id(DELIVERY_PREFIX, number), NOT_TEXT))
    return numbers
