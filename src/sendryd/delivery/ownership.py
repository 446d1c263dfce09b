"""Which sites this process may begin sessions with, where several processes deliver from one database."""

from typing import Protocol


class Ownership(Protocol):
    """What the delivery engine asks of a cluster."""

    @property
    def servers(self) -> int:
        """How many processes deliver. They share what a smart host may get."""
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
