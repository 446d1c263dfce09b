"""From what a server said of a recipient to what is stored of its delivery."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.outcome import make_outcome
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import DeliveryId
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.verdict import Category, Kind, NetworkFailure, Relay, Verdict, local_verdict
from sendryd.policy.retry import GiveUp, RetryAt
from sendryd.smtp.reply import Reply, make_reply
from sendryd.smtp.timeouts import Step
from sendryd.store.base import ClaimedDelivery, Outcome

RELAY = Relay(host="mx.example.org", address="192.88.98.1", port=25, duration_ms=42)
DELIVERY = ClaimedDelivery(
    id=DeliveryId(7), forward_path="User@Example.org", domain="example.org", attempts=2, is_in_doubt=False, notify=None, orcpt=None
)
LATER = RetryAt(datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC))


def said(reply: Reply | NetworkFailure, step: Step = Step.RCPT) -> Verdict:
    return classify(reply, step=step, relay=RELAY)


def outcome(verdict: Verdict, retry: RetryAt | GiveUp | None = LATER, delivery: ClaimedDelivery = DELIVERY) -> Outcome:
    return make_outcome(delivery, verdict, retry, itertools.count(100).__next__)


def told(found: Outcome) -> dict[str, object]:
    """What the events have, all of them the same."""
    assert len({event.id for event in found.events}) == len(found.events)
    first = dict(found.events[0].metadata)
    assert all(dict(event.metadata) == first for event in found.events)
    return first


def test_a_delivery_is_sent_and_delivered() -> None:
    verdict = replace(said(make_reply(250, "2.0.0", "Queued as 1"), Step.FINAL_DOT), relay=replace(RELAY, tls="TLSv1.3"))
    found = outcome(verdict)
    assert (found.delivery_id, found.state, found.due_at, found.suppression) == (DeliveryId(7), DeliveryState.DELIVERED, None, None)
    assert [event.type for event in found.events] == [EventType.SENT, EventType.DELIVERED]
    assert found.reply == "250 2.0.0 Queued as 1"
    assert told(found) == {
        "attempt": 3,
        "category": "delivered",
        "host": "mx.example.org",
        "address": "192.88.98.1",
        "tls": "TLSv1.3",
        "duration_ms": 42,
        "code": 250,
        "reply": "250 2.0.0 Queued as 1",
        "enhanced_code": "2.0.0",
        "reason": "The receiving server accepted the message: 250 2.0.0 Queued as 1",
        "tls_security": "none",
    }


def test_an_unknown_recipient_is_a_hard_bounce_and_suppressed() -> None:
    found = outcome(said(make_reply(550, "5.1.1", "No such user")))
    assert (found.state, found.due_at) == (DeliveryState.BOUNCED, None)
    assert [event.type for event in found.events] == [EventType.BOUNCED]
    assert (told(found)["bounce_type"], told(found)["tls"], told(found)["enhanced_code"]) == ("hard", None, "5.1.1")
    assert found.suppression is not None
    assert (found.suppression.email, found.suppression.reason) == ("user@example.org", SuppressionReason.HARD_BOUNCE)
    assert int(found.suppression.id) not in {int(event.id) for event in found.events}


def test_an_unknown_user_at_the_final_dot_is_suppressed_too() -> None:
    found = outcome(said(make_reply(550, "5.1.1", "No such user"), Step.FINAL_DOT))
    assert told(found)["bounce_type"] == "hard"
    assert found.suppression is not None


@pytest.mark.parametrize(
    ("reply", "step", "bounce_type"),
    [
        (make_reply(550, "5.1.2", "No such domain"), Step.RCPT, "hard"),
        (make_reply(552, "5.2.2", "Full"), Step.RCPT, "soft"),
        (make_reply(550, "5.7.1", "Spam"), Step.FINAL_DOT, "soft"),
    ],
)
def test_other_bounces_suppress_nobody(reply: Reply, step: Step, bounce_type: str) -> None:
    found = outcome(said(reply, step))
    assert found.state is DeliveryState.BOUNCED
    assert told(found)["bounce_type"] == bounce_type
    assert found.suppression is None


@pytest.mark.parametrize("code", [421, 450, 451])
def test_being_throttled_is_no_failed_attempt(code: int) -> None:
    found = outcome(said(make_reply(code, "4.7.1", "Too many messages, slow down")))
    assert (found.state, found.due_at, found.is_attempt) == (DeliveryState.QUEUED, LATER.moment, False)
    assert [event.type for event in found.events] == [EventType.DEFERRED]
    assert outcome(said(make_reply(450, "4.2.0", "Greylisted"))).is_attempt


def test_being_throttled_again_for_the_same_reason_is_no_event() -> None:
    first = replace(DELIVERY, last_reply="451 4.7.1 Too many messages, slow down (id abc123)")
    assert outcome(said(make_reply(451, "4.7.1", "Too many messages, slow down (id xyz789)")), delivery=first).events == ()
    other = [
        make_reply(451, "4.7.1", "Too many connections, slow down (id 1)"),
        make_reply(421, "4.7.1", "Too many messages, slow down (id 1)"),
    ]
    assert [len(outcome(said(reply), delivery=first).events) for reply in other] == [1, 1]
    assert outcome(said(make_reply(451, "4.7.1", "Too many messages, slow down (id 1)")), GiveUp(), first).events != ()


@pytest.mark.parametrize("failure", [make_reply(450, "4.2.0", "Greylisted"), NetworkFailure.TIMEOUT])
def test_a_deferral_says_when_it_is_tried_again(failure: Reply | NetworkFailure) -> None:
    found = outcome(said(failure))
    assert (found.state, found.due_at) == (DeliveryState.QUEUED, LATER.moment)
    assert [event.type for event in found.events] == [EventType.DEFERRED]
    assert told(found)["retry_at"] == "2026-03-01T12:30:00.123Z"
    assert ("code" in told(found)) is isinstance(failure, Reply)
    assert found.is_attempt


def test_the_last_deferral_is_the_end_and_says_what_was_said_last() -> None:
    found = outcome(said(make_reply(450, "4.2.0", "Greylisted")), GiveUp())
    assert (found.state, found.due_at, found.suppression) == (DeliveryState.EXPIRED, None, None)
    assert [event.type for event in found.events] == [EventType.FAILED]
    metadata = told(found)
    assert (metadata["reason"], metadata["category"]) == ("expired", "expired")
    assert metadata["last_reason"] == "The receiving server put off the recipient: 450 4.2.0 Greylisted"
    assert found.reply == "450 4.2.0 Greylisted"


@pytest.mark.parametrize("is_in_doubt", [False, True])
def test_what_may_be_a_duplicate_says_so(*, is_in_doubt: bool) -> None:
    found = outcome(said(make_reply(250, "2.0.0", "Ok"), Step.FINAL_DOT), delivery=replace(DELIVERY, is_in_doubt=is_in_doubt))
    assert told(found).get("possibly_duplicate", False) is is_in_doubt


def test_what_we_found_out_ourselves_names_no_host() -> None:
    found = outcome(local_verdict(Kind.BOUNCED, Category.BAD_DOMAIN, "5.1.2", "The domain gone.test does not exist"))
    metadata = told(found)
    assert not {"host", "address", "tls", "duration_ms", "code", "reply"} & set(metadata)
    assert (metadata["bounce_type"], metadata["enhanced_code"]) == ("hard", "5.1.2")
    assert found.reply == metadata["reason"] == "The domain gone.test does not exist"
    assert found.suppression is None


def test_a_fault_is_judged_by_its_step() -> None:
    in_doubt = DeliveryFault(Step.FINAL_DOT, NetworkFailure.CLOSED)
    refused = DeliveryFault(Step.GREETING, make_reply(554, "5.7.1", "Go away"))
    assert (in_doubt.is_in_doubt, refused.is_in_doubt) == (True, False)
    assert "may have been delivered" in in_doubt.verdict(RELAY).sentence
    assert not in_doubt.verdict_on_unsent(RELAY).is_in_doubt
    verdict = refused.verdict(RELAY)
    assert (verdict.kind, verdict.reply, verdict.relay) == (Kind.DEFERRED, refused.failure, RELAY)
