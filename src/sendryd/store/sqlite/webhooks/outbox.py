"""What is owed to webhooks: a fact is stored with the mail that it tells of, once, and turned into a notification for each webhook later."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from sendryd.model.webhook import MAIL_EVENTS
from sendryd.store.base import Notice
from sendryd.store.codec.values import to_json, to_ms
from sendryd.store.sqlite.webhooks.queries import SQL

_TOLD: Final = frozenset(event_type.value for event_type in MAIL_EVENTS)
_ID, _TYPE = 0, 5  # columns of `insert_event`


def owe_events(connection: apsw.Connection, events: Sequence[Sequence[Any]]) -> None:
    """Stores as facts those of the events, which were just inserted, that webhooks may ask for. It costs the same for any number of webhooks, and
    nothing where an account has none. Accepting mail makes no such events.
    """
    told = [row[_ID] for row in events if row[_TYPE] in _TOLD]
    if told:
        connection.execute(SQL["owe_events"], (to_json(told),))


def owe(connection: apsw.Connection, account_id: int, notice: Notice | None) -> None:
    """Stores a notice, if there is one, as a fact."""
    if notice is not None:
        connection.execute(SQL["owe_notice"], (account_id, notice.type.value, to_json(notice.body), to_ms(notice.created_at)))


def fan_out(connection: apsw.Connection, limit: int) -> int:
    """Turns the oldest facts into notifications, about `limit` of them; returns the number of facts."""
    most: int = connection.execute(SQL["most_webhooks"]).get
    facts: list[tuple[Any, ...]] = connection.execute(SQL["first_facts"], (max(1, limit // max(1, most)),)).fetchall()
    if facts:
        connection.execute(SQL["fan_out"], facts[-1])
        connection.execute(SQL["drop_facts"], facts[-1])
    return len(facts)
