"""Facts about next hops that outlast a run of the program, and an operator's requests for probes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol


class NextHopStore(Protocol):
    """Hosts that did TLS, and domains to probe."""

    async def note_tls_hosts(self, worked: Mapping[str, datetime], *, keep_since: datetime, most: int) -> None:
        """Stores when hosts last did TLS. Keeps the latest `most` hosts, and none older than `keep_since`."""
        ...

    async def list_tls_hosts(self) -> list[tuple[str, datetime]]:
        """Hosts that did TLS, and when they last did; the latest come last."""
        ...

    async def list_probes(self) -> list[str]:
        """Domains whose deliveries an operator has retried or released since the last `clear_probes`. Cheap."""
        ...

    async def clear_probes(self, domains: Sequence[str]) -> None:
        """Deletes the probe requests of these domains."""
        ...
