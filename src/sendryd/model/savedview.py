"""Searches that people keep."""

from dataclasses import dataclass
from datetime import datetime

from sendryd.model.ids import AccountId, PersonId, SavedViewId


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """A search of the Emails page under a name."""

    id: SavedViewId
    account_id: AccountId
    person_id: PersonId | None  # whose it is; None: the account shares it
    name: str
    query: str  # as the search box has it
    made_by: str  # the email of the person
    created_at: datetime
