"""The outbox: a fact is stored once, with the mail that it reports, and turned into a notification for each webhook later."""

from collections.abc import Sequence
from typing import Final

from sendryd.model.webhook import MAIL_EVENTS
from sendryd.store.base import Notice
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import to_json, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_rows, fetch_value
from sendryd.store.sql.webhooks.queries import SQL

_PUBLISHED: Final = frozenset(event_type.value for event_type in MAIL_EVENTS)


def owe_events(connection: Connection, events: Sequence[Row]) -> None:
    """Stores the just inserted events that webhooks may subscribe to as facts. The cost is the same for any number of webhooks, and nothing if the
    account has none. Accepting mail makes no such events.
    """
    published = [event["id"] for event in events if event["type"] in _PUBLISHED]
    if published:
        change(connection, SQL["owe_events"], ids=to_json(published))


def owe(connection: Connection, account_id: int, notice: Notice | None) -> None:
    """Stores a notice, if given, as a fact."""
    if notice is not None:
        values = {"type": notice.type.value, "body": to_json(notice.body), "created_at": to_ms(notice.created_at)}
        change(connection, SQL["owe_notice"], account_id=account_id, **values)


def fan_out(connection: Connection, limit: int) -> int:
    """Turns the oldest facts into notifications, about `limit` of them; returns the number of facts."""
    most = fetch_value(connection, SQL["most_webhooks"])
    facts = fetch_rows(connection, SQL["first_facts"], limit=max(1, limit // max(1, most)))
    if facts:
        values = {"last": facts[-1]["id"], "ids": to_json([fact["id"] for fact in facts])}
        change(connection, SQL["fan_out"], **values)
        change(connection, SQL["drop_facts"], **values)
    return len(facts)
