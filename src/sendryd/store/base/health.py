"""The history of findings, silenced things, and alerts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sendryd.model.attention import Alert, Silence
from sendryd.model.ids import AccountId
from sendryd.model.people import AuditEntry
from sendryd.policy.health.history import FindingSpan


class HealthStore(Protocol):
    """What is kept of the installation's health."""

    async def list_finding_spans(self, *, ended_since: datetime | None = None) -> list[FindingSpan]:
        """The present findings in the order of their beginning; with `ended_since`, those too that ended since then."""
        ...

    async def save_finding_spans(self, spans: Sequence[FindingSpan], *, keep_since: datetime) -> None:
        """Stores spans, new or changed; check, subject and beginning name one. Deletes those that ended before `keep_since`."""
        ...

    async def list_silences(self, account_id: AccountId, now: datetime) -> list[Silence]:
        """What is silenced in an account and not over, the first to end first."""
        ...

    async def set_silence(self, silence: Silence, audit: AuditEntry) -> None:
        """Silences a thing, or sets another end. Deletes silences of the account that were over when it was set."""
        ...

    async def end_silence(self, account_id: AccountId, name: str, audit: AuditEntry) -> bool:
        """Whether the thing was silenced; it is not any more."""
        ...

    async def list_alerts(self, account_id: AccountId) -> list[Alert]:
        """What needs somebody, and what is over and still kept, in the order of its beginning."""
        ...

    async def save_alerts(self, alerts: Sequence[Alert], *, keep_since: datetime) -> None:
        """Stores alerts, new or changed; account, name and beginning name one. Deletes those that ended before `keep_since`."""
        ...
