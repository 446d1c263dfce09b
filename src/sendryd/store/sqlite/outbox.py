"""What is owed to webhooks is stored with the fact that it tells of."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from sendryd.model.webhook import MAIL_EVENTS
from sendryd.store.base import Notice
from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.rows import to_json, to_ms

_TOLD: Final = frozenset(event_type.value for event_type in MAIL_EVENTS)
_ID, _TYPE = 0, 5  # columns of `insert_event`


def fan_out(connection: apsw.Connection, events: Sequence[Sequence[Any]]) -> None:
    """Owes events that were just inserted to the active webhooks that ask for them. Accepting mail makes no such events, and pays nothing."""
    told = [row[_ID] for row in events if row[_TYPE] in _TOLD]
    if told:
        connection.execute(SQL["fan_out"], (to_json(told),))


def owe(connection: apsw.Connection, account_id: int, notice: Notice | None) -> None:
    """Owes a notice, if there is one, to the account's active webhooks that ask for it."""
    if notice is not None:
        connection.execute(SQL["owe_notice"], (account_id, notice.type.value, to_json(notice.body), to_ms(notice.created_at)))
