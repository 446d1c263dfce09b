"""Which sites this process may begin sessions with, where several processes deliver from one database."""

from typing import Protocol


class Ownership(Protocol):
    """What the delivery engine asks of a cluster."""

    def share(self, most: int) -> int:
        """Sessions with the smart host for all mail that this process may have now, of `most` that all processes together may have."""
        ...

    def leaves_some_out(self, most: int) -> bool:
        """Whether a process gets none of `most` sessions, so that others have to send the mail of its shards to the smart host."""
        ...

    @property
    def may_begin(self) -> bool:
        """Whether this process may begin sessions at all: its leases have time left, and it does not drain."""
        ...

    def owns(self, site: str) -> bool:
        """Whether this process may begin a session with a site."""
        ...

    async def move(self, domains: dict[str, str]) -> None:
        """Hands the waiting mail of domains, with the site of each, to whoever owns the site. Raises `StoreError`."""
        ...

    def ring(self) -> None:
        """Says in every process that there may be mail of its sites."""
        ...
