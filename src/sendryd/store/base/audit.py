"""Changes that are committed together with their entry in the audit."""

from typing import Protocol, Self

from sendryd.model.people import AuditEntry


class AuditStore(Protocol):
    """A store whose changes may carry an entry of the audit."""

    def audited(self, entry: AuditEntry) -> Self:
        """The same store for one change: the entry is written in the transaction of its first write, and not if that fails."""
        ...
