"""Requests for transcripts, in memory."""

from dataclasses import replace
from datetime import datetime

from sendryd.store.base import TraceRequest


class MemoryTraces:
    """`TraceStore` without a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._traces: dict[str, TraceRequest] = {}

    async def add_trace(self, request: TraceRequest) -> None:
        self._traces[request.domain] = request

    async def list_traces(self, *, now: datetime) -> list[TraceRequest]:
        return [each for _, each in sorted(self._traces.items()) if each.until > now and each.sessions > 0]

    async def count_traced(self, domain: str) -> None:
        request = self._traces.pop(domain, None)
        if request is not None and request.sessions > 1:
            self._traces[domain] = replace(request, sessions=request.sessions - 1)
