"""Things that need somebody: silences and alerts."""

from dataclasses import dataclass
from datetime import datetime

from sendryd.model.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A thing that a person has silenced until some time."""

    account_id: AccountId
    name: str  # of the thing: its kind and what it is about
    until: datetime
    by: str  # the person's name
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A thing that needs or needed somebody, and whether the account's people were alerted."""

    account_id: AccountId
    name: str
    kind: str
    sentence: str
    began_at: datetime
    told_at: datetime | None = None  # None: not yet, or it was over before
    ended_at: datetime | None = None  # None: it needs somebody still
    end_told_at: datetime | None = None
