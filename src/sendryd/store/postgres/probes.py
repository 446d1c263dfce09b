"""Requests for probes among several processes: each process sees each request once, because only the owner of a site can obey it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sendryd.store.postgres.database import PostgresDatabase
from sendryd.store.postgres.queries import SQL

LIFETIME: Final = 15.0  # seconds of a request: every process that is alive looks once a second


class Probes:
    """`list_probes` and `clear_probes` of `NextHopStore`."""

    _server: PostgresDatabase
    _found: dict[str, datetime]  # the requests that were listed last, and when each was made
    _obeyed: dict[str, datetime]  # those of them that this process has cleared

    async def list_probes(self) -> list[str]:
        rows = await self._server.find_rows(SQL["list_asked_probes"], lifetime=LIFETIME)
        self._found = {row["domain"]: row["asked_at"] for row in rows}
        self._obeyed = {domain: moment for domain, moment in self._obeyed.items() if self._found.get(domain) == moment}
        return [domain for domain in self._found if domain not in self._obeyed]

    async def clear_probes(self, domains: Sequence[str]) -> None:
        self._obeyed |= {domain: self._found[domain] for domain in domains if domain in self._found}
        await self._server.change(SQL["forget_probes"], lifetime=LIFETIME)
