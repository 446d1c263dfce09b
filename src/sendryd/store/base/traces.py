"""Requests for transcripts of delivery sessions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRequest:
    """A request to log the next sessions with the mail servers of one domain."""

    domain: str  # A-label form
    sessions: int  # sessions left to log
    until: datetime  # when the request expires


class TraceStore(Protocol):
    """Transcript requests: `queue trace` adds them, the delivery engine serves them."""

    async def add_trace(self, request: TraceRequest) -> None:
        """Stores a request. It replaces one for the same domain."""
        ...

    async def list_traces(self, *, now: datetime) -> list[TraceRequest]:
        """The requests that have not expired. Cheap."""
        ...

    async def count_traced(self, domain: str) -> None:
        """Counts one logged session of a domain's request; deletes the request after its last session."""
        ...
