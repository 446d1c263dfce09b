"""The faults that a store reports. Any other exception that a store raises is a bug."""

from sendryd.store.base.accepting import Answer


class StoreError(Exception):
    """Base class of the store's faults."""


class StoreUnavailable(StoreError):
    """The store cannot be read or written at present; the failed call stored nothing."""


class StoreFull(StoreUnavailable):
    """The disk is full or the file may not grow; the failed call stored nothing."""


class TookTooLong(StoreError):
    """A search exceeded its time limit."""


class LeaseLost(StoreError):
    """The lease was returned, or another worker holds the delivery; nothing was recorded."""


class Conflict(StoreError):
    """A row with this identity exists already."""


class Changed(StoreError):
    """The row differs from the one that the change was made from; nothing was stored. Read it again and repeat the change."""


class LimitReached(StoreError):
    """The account has reached its limit of these rows; nothing was stored."""

    def __init__(self, limit: int, what: str, advice: str) -> None:
        super().__init__(
            f"the account has {limit} {what}{'' if limit == 1 else 'es' if what.endswith('s') else 's'}, the most that it may have: {advice}"
        )


class MailWaits(StoreError):
    """The account has mail that waits to be sent; nothing was changed."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{number:,} deliveries wait")
        self.number = number


class NotFound(StoreError):
    """No such row in this account."""


class ContentDamaged(StoreError):
    """The stored content of a message is missing, short, altered or another message's. The text says which, for the log."""


class RowUnreadable(StoreError):
    """One row is damaged, or holds a word that this version does not know. Other rows are readable."""

    def __init__(self, public_id: str, reason: str) -> None:
        super().__init__(f"{public_id} cannot be read: {reason}")
        self.public_id = public_id
        self.reason = reason


class NotAllowed(StoreError):
    """The state of the row does not allow the change."""


class SchemaMismatch(StoreError):
    """The database was written by a newer version, or its engine is too old to be safe."""


class AlreadyAnswered(Exception):
    """An idempotent request was answered before; this one stored nothing."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the key {answer.key!r} has its answer")
        self.answer = answer
