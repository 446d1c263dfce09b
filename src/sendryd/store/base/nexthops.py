"""What is known of next hops beyond a run of the program, and what an operator asks of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol


class NextHopStore(Protocol):
    """What the delivery engine remembers and is told of next hops."""

    async def note_tls_hosts(self, worked: Mapping[str, datetime], *, keep_since: datetime, most: int) -> None:
        """Stores when hosts did TLS last. Keeps the latest `most`, and none of before `keep_since`."""
        ...

    async def list_tls_hosts(self) -> list[tuple[str, datetime]]:
        """Hosts that did TLS, and when last; the latest come last."""
        ...

    async def list_probes(self) -> list[str]:
        """Domains of the deliveries that an operator has retried or released since they were cleared. Cheap."""
        ...

    async def clear_probes(self, domains: Sequence[str]) -> None:
        """Forgets these."""
        ...
