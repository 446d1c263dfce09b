"""Answers of webhooks: what they mean, when to try again. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.policy.retry import JITTER
from sendryd.policy.retryafter import parse_retry_after
from sendryd.runtime.posting import HttpAnswer

MAX_RESPONSE: Final = 2000  # characters kept of an answer
GONE: Final = 410
PAUSING: Final = frozenset({429, 503})  # statuses whose Retry-After counts


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an attempt."""

    is_success: bool
    status: int | None  # None: no answer came
    response: str  # its beginning, or what went wrong
    wait: timedelta | None = None  # what the receiver asked for

    @property
    def is_gone(self) -> bool:
        """The endpoint wants no more, ever."""
        return self.status == GONE


def read_answer(answer: HttpAnswer, now: datetime) -> Result:
    """What an answer means: 2xx is a success, everything else is not."""
    text = answer.body_start.decode("utf-8", "replace").replace("\0", "\ufffd")
    if 300 <= answer.status < 400:
        text = f"Redirects are not followed: give the webhook the URL that it redirects to. {text}"
    wait = parse_retry_after(answer.headers.get("retry-after", ""), now) if answer.status in PAUSING else None
    return Result(answer.is_success, answer.status, text[:MAX_RESPONSE], wait)


def next_due(delays: Sequence[timedelta], attempts: int, now: datetime, jitter: float, wait: timedelta | None) -> datetime | None:
    """When to try again after the attempts so far, this one counted; None: no more. `jitter` lies in [-1, 1); `wait` is the receiver's wish."""
    if attempts > len(delays):
        return None
    delay = delays[attempts - 1] * (1 + JITTER * jitter)
    if wait is not None:
        delay = max(delay, wait * (1 + JITTER * abs(jitter)))
    return now + delay
