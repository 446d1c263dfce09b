"""Words, shapes and tones of statuses."""

from datetime import timedelta

from sendryd.dashboard.statuses import status_of_delivery
from sendryd.model.delivery import DeliveryState
from sendryd.testing.cases import cases
from sendryd.testing.samples import NOW

S = DeliveryState


@cases(
    ("state", "attempts", "is_complained", "hours", "expected"),
    [
        (S.QUEUED, 0, False, 0, ("queued", "Queued", "go", "go")),
        (S.QUEUED, 0, False, 1, ("queued", "Scheduled", "go", "go")),
        (S.QUEUED, 2, False, 1, ("sending", "Deferred", "slow", "slow")),
        (S.LEASED, 0, False, 0, ("sending", "Sending", "go", "sending")),
        (S.HELD, 0, False, 0, ("queued", "Held", "hold", "hold")),
        (S.HELD, 1, False, 0, ("sending", "Held", "hold", "hold")),
        (S.DELIVERED, 1, False, 0, ("delivered", "Delivered", "ok", "ok")),
        (S.DELIVERED, 1, True, 0, ("complained", "Complained", "abuse", "abuse")),
        (S.BOUNCED, 1, False, 0, ("bounced", "Bounced", "bad", "bad")),
        (S.EXPIRED, 9, False, 0, ("failed", "Given up", "bad", "bad")),
        (S.SUPPRESSED, 0, False, 0, ("failed", "Suppressed", "off", "off")),
        (S.CANCELLED, 0, False, 0, ("cancelled", "Cancelled", "off", "off")),
    ],
)
def test_a_recipients_status(state: S, attempts: int, is_complained: bool, hours: int, expected: tuple[str, str, str, str]) -> None:
    scheduled_at = NOW + timedelta(hours=hours) if hours else None
    found = status_of_delivery(state, attempts=attempts, is_complained=is_complained, scheduled_at=scheduled_at, now=NOW)
    assert (found.api, found.word, found.tone, found.shape) == expected
