"""Changes of captured mail."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, MessageId
from sendryd.store.base import EventMaker, Play
from sendryd.store.codec.events import read_subject
from sendryd.store.codec.values import to_json, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_rows
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.queries import SQL
from sendryd.store.sql.mail.upkeep import delete_message_rows


class Captures:
    """`CaptureStore`."""

    _database: Database

    async def delete_captured(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> int:
        def action(connection: Connection, _rows: Rows) -> int:
            found = fetch_rows(connection, SQL["list_captured"], account_id=account_id, ids=to_json(message_ids))
            delete_message_rows(self._database, connection, found)
            return len(found)

        count = await self._database.write(action)
        if count:
            await self._database.tidy()
        return count

    async def play(self, account_id: AccountId, message_id: MessageId, play: Play, make_event: EventMaker, now: datetime) -> int:
        moment, state = to_ms(now), (play.state or DeliveryState.DELIVERED).value

        def action(connection: Connection, rows: Rows) -> int:
            subjects = fetch_rows(connection, SQL["list_played"], account_id=account_id, message_id=message_id)
            for row in subjects:
                change(connection, SQL["end_play"], id=row["id"], state=state)
                rows.add_events(read_subject(row), (make_event(play.type, play.metadata),), moment)
            return len(subjects)

        return await self._database.write(action)
