"""Unknown replies."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.unknownreply import UnknownReply
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import clean, from_ms, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change
from sendryd.store.sql.database import Database
from sendryd.store.sql.replies.queries import SQL


class Replies:
    """`UnknownReplyStore`."""

    _database: Database

    async def add_unknown_replies(self, replies: Sequence[UnknownReply], *, most: int) -> None:
        rows = [
            {
                "shape": clean(each.shape),
                "number": each.number,
                "host": clean(each.host),
                "first_at": to_ms(each.first_at),
                "last_at": to_ms(each.last_at),
            }
            for each in replies
        ]

        def action(connection: Connection, _batch: object) -> None:
            for row in rows:
                change(connection, SQL["add_unknown_reply"], **row)
            change(connection, SQL["trim_unknown_replies"], most=most)

        await self._database.write(action)

    async def list_unknown_replies(self, *, limit: int) -> list[UnknownReply]:
        return [_read(row) for row in await self._database.find_rows(SQL["list_unknown_replies"], limit=limit)]

    async def delete_unknown_replies(self, *, seen_before: datetime) -> int:
        return await self._database.change(SQL["delete_unknown_replies"], seen_before=to_ms(seen_before))

    async def forget_unknown_reply(self, shape: str) -> bool:
        return bool(await self._database.change(SQL["forget_unknown_reply"], shape=shape))


def _read(row: Row) -> UnknownReply:
    return UnknownReply(
        shape=row["shape"], number=row["number"], host=row["host"], first_at=from_ms(row["first_at"]), last_at=from_ms(row["last_at"])
    )
