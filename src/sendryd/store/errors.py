"""What can go wrong in a store. Everything else that a store raises is a bug."""

from sendryd.store.base.accepting import Answer


class StoreError(Exception):
    """Root of what a store raises on purpose."""


class StoreUnavailable(StoreError):
    """The store cannot be read or written just now; nothing of the failed call was stored."""


class StoreFull(StoreUnavailable):
    """The disk is full or the file may not grow; nothing of the failed call was stored."""


class TookTooLong(StoreError):
    """A search had to look at too much."""


class LeaseLost(StoreError):
    """The lease had expired or somebody else holds the delivery now; nothing was recorded."""


class Conflict(StoreError):
    """A row with this identity exists already."""


class Changed(StoreError):
    """The row is not as it was read any more; nothing was stored. Read it again and apply the change again."""


class LimitReached(StoreError):
    """The account has as many of these as it may have; nothing was stored."""

    def __init__(self, limit: int, what: str, advice: str) -> None:
        super().__init__(f"the account has {limit} {what}{'' if limit == 1 else 's'}, the most that it may have: {advice}")


class NotFound(StoreError):
    """No such row in this account."""


class ContentDamaged(StoreError):
    """The stored content of a message is missing, short, altered or that of another one. The text says which, for the log."""


class RowUnreadable(StoreError):
    """A row is damaged, or has a word that this version does not know. The others are not."""

    def __init__(self, public_id: str, reason: str) -> None:
        super().__init__(f"{public_id} cannot be read: {reason}")
        self.public_id = public_id
        self.reason = reason


class NotAllowed(StoreError):
    """The row is in a state in which this cannot be done."""


class SchemaMismatch(StoreError):
    """The database was written by a newer version, or its engine is too old to be safe."""


class AlreadyAnswered(Exception):
    """The idempotent request was answered before: nothing of this one was stored."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the key {answer.key!r} has its answer")
        self.answer = answer
