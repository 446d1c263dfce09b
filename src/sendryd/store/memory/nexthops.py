"""Hosts that did TLS and requests for probes, in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime


class MemoryNextHops:
    """`NextHopStore` without a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._tls_hosts: dict[str, datetime] = {}
        self._probes: set[str] = set()

    async def note_tls_hosts(self, worked: Mapping[str, datetime], *, keep_since: datetime, most: int) -> None:
        for host, moment in worked.items():
            self._tls_hosts[host] = max(moment, self._tls_hosts.get(host, moment))
        latest = [each for each in await self.list_tls_hosts() if each[1] >= keep_since]
        self._tls_hosts = dict(latest[-most:])

    async def list_tls_hosts(self) -> list[tuple[str, datetime]]:
        return sorted(self._tls_hosts.items(), key=lambda each: each[1])

    async def list_probes(self) -> list[str]:
        return sorted(self._probes)

    async def clear_probes(self, domains: Sequence[str]) -> None:
        self._probes.difference_update(domains)
