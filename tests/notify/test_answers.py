"""What an answer of a webhook's endpoint means, and when to try again."""

from datetime import UTC, datetime, timedelta

import pytest

from sendryd.notify.answers import next_due, read_answer
from sendryd.runtime.posting import HttpAnswer

from .conftest import DELAYS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempts", "jitter", "wait", "expected"),
    [
        (1, 0.0, None, 5.0),
        (2, 0.0, None, 60.0),
        (3, -1.0, None, 270.0),
        (3, 0.5, None, 315.0),
        (4, 0.0, None, None),
        (4, 0.0, timedelta(hours=1), None),
        (1, 0.0, timedelta(seconds=30), 30.0),
        (1, -1.0, timedelta(seconds=30), 33.0),
        (3, 0.0, timedelta(seconds=30), 300.0),
    ],
)
def test_when_to_try_again(attempts: int, jitter: float, wait: timedelta | None, expected: float | None) -> None:
    due = next_due(DELAYS, attempts, NOW, jitter, wait)
    assert due == (None if expected is None else NOW + timedelta(seconds=expected))


@pytest.mark.parametrize(
    ("status", "is_success"), [(200, True), (204, True), (299, True), (199, False), (300, False), (404, False), (503, False)]
)
def test_only_2xx_is_a_success(status: int, is_success: bool) -> None:
    answer = HttpAnswer(status=status, headers={"retry-after": "7"}, body_start=b"\xff", duration=0.1)
    result = read_answer(answer, NOW)
    assert (result.is_success, result.status) == (is_success, status)
    assert result.wait == (timedelta(seconds=7) if status == 503 else None)
    assert result.response.endswith("\ufffd")
