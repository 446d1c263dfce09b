"""What people may do, by their role. One table for pages, REST and the command line. Pure."""

from enum import StrEnum
from typing import Final

from sendryd.model.actor import Role

ROLE_RANKS: Final = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2, Role.OWNER: 3}


class Right(StrEnum):
    """What a page shows or changes."""

    SEE = "see"  # mails, queue, logs, figures
    WORK = "work"  # the Test Inbox, templates, suppressions, webhooks; try again, cancel; own test keys
    ADMINISTER = "administer"  # domains, live keys, hold and release, people up to admins
    OWN = "own"  # owners, retention, the account itself
    OPERATE = "operate"  # Health, settings, every account's queue, what stops it: a flag of the person, not a role


_LEAST: Final = {Right.SEE: Role.VIEWER, Right.WORK: Role.MEMBER, Right.ADMINISTER: Role.ADMIN, Right.OWN: Role.OWNER}


def has_right(role: Role, right: Right, *, is_operator: bool = False) -> bool:
    """Whether a person of this role may do it."""
    if right is Right.OPERATE:
        return is_operator
    return ROLE_RANKS[role] >= ROLE_RANKS[_LEAST[right]]
