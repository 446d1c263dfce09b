"""Whose sessions are to be written down."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRequest:
    """The next sessions with the mail servers of one domain are to be written to the log."""

    domain: str  # A-label form
    sessions: int  # how many are left
    until: datetime  # the request lapses then


class TraceStore(Protocol):
    """What `queue trace` asks for and the delivery engine does."""

    async def add_trace(self, request: TraceRequest) -> None:
        """Asks for a transcript. A request for the same domain is replaced."""
        ...

    async def list_traces(self, *, now: datetime) -> list[TraceRequest]:
        """The requests that have not lapsed. Cheap."""
        ...

    async def count_traced(self, domain: str) -> None:
        """Takes one session off a domain's request; with none left the request is gone."""
        ...
