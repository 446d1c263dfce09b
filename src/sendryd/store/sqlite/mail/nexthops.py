"""What is known of next hops, in SQLite."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import apsw

from sendryd.store.codec.values import from_ms, to_json, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.mail.batch import Rows
from sendryd.store.sqlite.mail.queries import SQL


class NextHops:
    """`NextHopStore`."""

    _database: Database

    async def note_tls_hosts(self, worked: Mapping[str, datetime], *, keep_since: datetime, most: int) -> None:
        rows = [(host, to_ms(moment)) for host, moment in worked.items()]

        def action(connection: apsw.Connection, _rows: Rows) -> None:
            connection.executemany(SQL["note_tls_host"], rows).fetchall()
            connection.execute(SQL["prune_tls_hosts"], (to_ms(keep_since), most)).fetchall()

        await self._database.write(action)

    async def list_tls_hosts(self) -> list[tuple[str, datetime]]:
        rows = await self._database.read_rows(SQL["list_tls_hosts"], "tls_host")
        return [(row[0], from_ms(row[1])) for row in rows if row is not None]

    async def list_probes(self) -> list[str]:
        return [domain for (domain,) in self._database.fetch_all(SQL["list_probes"])]

    async def clear_probes(self, domains: Sequence[str]) -> None:
        await self._database.write(lambda connection, _: connection.execute(SQL["delete_probes"], (to_json(domains),)).fetchall())
