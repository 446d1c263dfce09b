"""Faults of a message."""


class MalformedMessage(ValueError):
    """The message cannot be accepted as it is. `reason` says to the sender what to change."""

    def __init__(self, reason: str, offset: int = 0, *, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field  # of the composition, as requests name it
        self.offset = offset  # octets from the start of the content, as near as is known
