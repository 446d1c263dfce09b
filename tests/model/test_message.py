"""The public status, derived."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from sendryd.model.delivery import DeliveryState as S
from sendryd.model.message import MessageStatus, MessageType, derive_status
from sendryd.testing.cases import cases
from sendryd.testing.samples import NOW, Samples


@cases(
    ("states", "has_attempts", "status"),
    [
        ({S.QUEUED: 2}, False, MessageStatus.QUEUED),
        ({S.HELD: 1}, False, MessageStatus.QUEUED),
        ({S.LEASED: 1}, False, MessageStatus.SENDING),
        ({S.QUEUED: 1}, True, MessageStatus.SENDING),
        ({S.QUEUED: 1, S.DELIVERED: 1}, True, MessageStatus.SENDING),
        ({S.QUEUED: 1, S.SUPPRESSED: 1}, False, MessageStatus.QUEUED),
        ({S.DELIVERED: 1, S.BOUNCED: 1}, True, MessageStatus.DELIVERED),
        ({S.BOUNCED: 1, S.EXPIRED: 1}, True, MessageStatus.BOUNCED),
        ({S.EXPIRED: 1}, True, MessageStatus.FAILED),
        ({S.SUPPRESSED: 1}, False, MessageStatus.FAILED),
        ({S.CANCELLED: 1}, False, MessageStatus.CANCELLED),
        ({}, False, MessageStatus.FAILED),
    ],
)
def test_status_follows_from_the_deliveries(states: Mapping[S, int], has_attempts: bool, status: MessageStatus) -> None:
    assert derive_status(states, has_attempts=has_attempts) is status


def test_a_complaint_outweighs_everything() -> None:
    assert derive_status({S.DELIVERED: 1}, has_attempts=True, is_complained=True) is MessageStatus.COMPLAINED


def test_a_message_waits_from_the_time_that_it_was_meant_for() -> None:
    message = Samples().message().message
    assert message.waits_since == NOW
    assert replace(message, scheduled_at=NOW + timedelta(days=1)).waits_since == NOW + timedelta(days=1)


def test_copies_that_differ_need_transactions_of_their_own() -> None:
    message = Samples().message().message
    assert not message.is_personal
    for other in (replace(message, track_opens=True), replace(message, track_clicks=True), replace(message, type=MessageType.MARKETING)):
        assert other.is_personal
