"""When a change of stored state is allowed. Every backend calls these functions in the transaction of the change. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sendryd.model.actor import Role
from sendryd.model.apikey import ApiKey
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DkimKey
from sendryd.model.event import EventType
from sendryd.model.people import Membership
from sendryd.store.base.late import LateResult
from sendryd.store.errors import Changed, Conflict, LimitReached, NotAllowed

_UNTRIED: Final = frozenset({DeliveryState.QUEUED.value, DeliveryState.HELD.value})


class Waiting(NamedTuple):
    """A delivery of a scheduled message, with the values that decide whether the message can still be changed."""

    id: int
    state: str  # the word of a `DeliveryState`
    attempts: int
    due_at: datetime


def list_untried(deliveries: Sequence[Waiting]) -> list[Waiting]:
    """The deliveries of a message that wait for their first attempt, without those that were suppressed from the start. Raises `NotAllowed` if
    there is none, or if one was tried or is done.
    """
    found = [each for each in deliveries if each.state != DeliveryState.SUPPRESSED.value]
    if not found or any(each.state not in _UNTRIED or each.attempts for each in found):
        raise NotAllowed("the message is under way or done")
    return found


def check_amendable(deliveries: Sequence[Waiting], now: datetime) -> None:
    """Raises `NotAllowed` unless every delivery of the message is queued, untried and not due yet."""
    if any(each.state != DeliveryState.QUEUED.value or each.due_at <= now for each in list_untried(deliveries)):
        raise NotAllowed("the message is held or due")


def check_source_request(stored: bytes | None, made_from: bytes) -> None:
    """Raises `Changed` if the stored source request of a message is not the one that its change was made from."""
    if stored != made_from:
        raise Changed("the message has been changed by somebody else at the same time: try again")


def check_rotation(old: ApiKey, new: ApiKey) -> None:
    """Raises `NotAllowed` if the old key was revoked before the new one was created."""
    if old.revoked_at is not None and old.revoked_at <= new.created_at:
        raise NotAllowed("the key is revoked; create a new one instead")


def check_activation(key: DkimKey, now: datetime) -> None:
    """Raises `NotAllowed` unless the last check has found the key's record and its time has come."""
    if key.seen_at is None:
        raise NotAllowed("the record of the new key was not found")
    if key.starts_at > now:
        raise NotAllowed("the time of the new key has not come")


def check_new_selector(active: str, new: str) -> None:
    """Raises `Conflict` if the active key of a domain has the selector of a new one."""
    if active == new:
        raise Conflict("the domain has a key of this selector")


def check_unchanged(found: object, before: object, what: str) -> None:
    """Compare-and-set: raises `Changed` if `found` is not `before`, which the change was made from. `what` names the row, with its article."""
    if found != before:
        raise Changed(f"{what} has been changed by somebody else at the same time: try again")


def check_owner_stays(before: Membership, other_owners: int) -> None:
    """Raises `NotAllowed` if this member, who is to be removed or to get another role, is the last who owns the account."""
    if before.role is Role.OWNER and before.person_id is not None and not other_owners:
        raise NotAllowed("an account needs an owner: make somebody else one first")


def check_invitable(before: Membership | None) -> None:
    """Raises `Conflict` if whoever has this membership needs no invitation any more."""
    if before is not None and before.person_id is not None:
        raise Conflict("this person has joined already")


def judge_late(event_type: EventType, state: DeliveryState, *, is_complained: bool) -> LateResult:
    """What a report that comes after the outcome does with a delivery. A complaint may follow any outcome; a bounce follows the next hop's 250
    alone.
    """
    if event_type is EventType.COMPLAINED:
        return LateResult.REPEATED if is_complained else LateResult.RECORDED
    match state:
        case DeliveryState.DELIVERED:
            return LateResult.RECORDED
        case DeliveryState.BOUNCED:
            return LateResult.REPEATED
        case DeliveryState.LEASED:
            return LateResult.TOO_EARLY
        case _:
            return LateResult.UNFIT


def check_limit(count: int, limit: int | None, what: str, advice: str) -> None:
    """Raises `LimitReached` if `count`, which includes the row just added, exceeds the limit; None: no limit. Called in the transaction that adds
    a row, so concurrent creates cannot pass the limit. `what` is in the singular.
    """
    if limit is not None and count > limit:
        raise LimitReached(limit, what, advice)
