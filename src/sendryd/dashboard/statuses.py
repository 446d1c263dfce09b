"""How pages show what became of a mail: word, shape and tone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.message import MessageStatus, MessageSummary, derive_status
from sendryd.policy.explain import Tone


@dataclass(frozen=True, slots=True)
class StatusView:
    """A status as a page prints it."""

    api: str  # the API's word, for `data-status`
    word: str
    tone: str
    shape: str  # of the sprite


SHAPES: Final[Mapping[Tone, str]] = {
    Tone.OK: "ok",
    Tone.GO: "go",
    Tone.SLOW: "slow",
    Tone.BAD: "bad",
    Tone.HOLD: "hold",
    Tone.ABUSE: "abuse",
    Tone.OFF: "off",
}
# What needs a reader most comes first.
RANKS: Final[Mapping[Tone, int]] = {
    tone: rank for rank, tone in enumerate((Tone.BAD, Tone.ABUSE, Tone.HOLD, Tone.SLOW, Tone.GO, Tone.OFF, Tone.OK))
}
_DONE: Final = {
    MessageStatus.DELIVERED: ("Delivered", Tone.OK),
    MessageStatus.BOUNCED: ("Bounced", Tone.BAD),
    MessageStatus.COMPLAINED: ("Complained", Tone.ABUSE),
    MessageStatus.CANCELLED: ("Cancelled", Tone.OFF),
}


def status_of(summary: MessageSummary, now: datetime) -> StatusView:
    """The status of a message. The word is finer than the API's: a waiting message is scheduled, held or deferred."""
    api = derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained)
    return _view(api, summary.states, scheduled_at=summary.message.scheduled_at, has_attempts=summary.has_attempts, now=now)


def status_of_delivery(
    state: DeliveryState, *, attempts: int, is_complained: bool, scheduled_at: datetime | None, now: datetime
) -> StatusView:
    """The status of one recipient."""
    states = {state: 1}
    api = derive_status(states, has_attempts=attempts > 0, is_complained=is_complained)
    return _view(api, states, scheduled_at=scheduled_at, has_attempts=attempts > 0, now=now)


def _view(
    api: MessageStatus, states: Mapping[DeliveryState, int], *, scheduled_at: datetime | None, has_attempts: bool, now: datetime
) -> StatusView:
    shape = ""
    if api in _DONE:
        word, tone = _DONE[api]
    elif api is MessageStatus.FAILED:
        word, tone = ("Given up", Tone.BAD) if states.get(DeliveryState.EXPIRED) else ("Suppressed", Tone.OFF)
    elif states.get(DeliveryState.LEASED):
        word, tone, shape = "Sending", Tone.GO, "sending"
    elif states.get(DeliveryState.HELD):
        word, tone = "Held", Tone.HOLD
    elif has_attempts:
        word, tone = "Deferred", Tone.SLOW
    elif scheduled_at is not None and scheduled_at > now:
        word, tone = "Scheduled", Tone.GO
    else:
        word, tone = "Queued", Tone.GO
    return StatusView(api.value, word, tone.value, shape or SHAPES[tone])
