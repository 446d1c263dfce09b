"""Replies of receiving servers whose words no pattern knows."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownReply:
    """Replies of one shape. The shape has no address of a recipient and no number of a message."""

    shape: str
    number: int  # how often it came
    host: str  # the server that said it last
    first_at: datetime
    last_at: datetime
