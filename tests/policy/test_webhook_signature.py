"""Signatures, judged by the verifiers that receivers use."""

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st
from sendry.resources.webhooks_util import verify_signature
from standardwebhooks import WebhookVerificationError

from sendryd.policy.webhook_signature import recognise, sign
from sendryd.runtime.clock import SystemClock

SECRET = "whsec_" + "Ab3" * 14 + "xy"
OTHER = "whsec_" + "Zb3" * 14 + "xy"
BODY = '{"type":"email.delivered","data":{"to":"jürgen@example.org"}}'.encode()


def now() -> int:
    return int(SystemClock().now().timestamp())


def judge(secret: str, body: bytes, headers: dict[str, str]) -> None:
    standardwebhooks.Webhook(secret).verify(body, headers, json_parse=False)


def test_standard_webhooks_accepts_ours_and_nothing_else() -> None:
    headers = sign(SECRET, BODY, identity="evt_1", timestamp=now())
    judge(SECRET, BODY, headers)
    for secret, body, changed in (
        (OTHER, BODY, headers),
        (SECRET, BODY + b" ", headers),
        (SECRET, BODY, headers | {"webhook-id": "evt_2"}),
        (SECRET, BODY, headers | {"webhook-timestamp": str(now() + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            judge(secret, body, changed)


def test_an_old_attempt_is_not_accepted_again() -> None:
    with pytest.raises(WebhookVerificationError, match="too old"):
        judge(SECRET, BODY, sign(SECRET, BODY, identity="evt_1", timestamp=now() - 301))


def test_the_client_library_of_the_hosted_service_accepts_ours_and_nothing_else() -> None:
    header = sign(SECRET, BODY, identity="evt_1", timestamp=1_700_000_000)["Sendry-Signature"]
    assert header.startswith("t=1700000000,v1=")
    assert verify_signature(BODY.decode(), header, SECRET)
    assert not verify_signature(BODY.decode() + " ", header, SECRET)
    assert not verify_signature(BODY.decode(), header, OTHER)
    assert not verify_signature(BODY.decode(), header.replace("t=17", "t=18"), SECRET)


def test_one_header_may_carry_the_value_of_the_other() -> None:
    headers = sign(SECRET, BODY, identity="evt_1", timestamp=1_700_000_000, scheme="timestamped")
    assert verify_signature(BODY.decode(), headers["X-Sendry-Signature"], SECRET)
    assert headers["X-Sendry-Signature"] == headers["Sendry-Signature"]


def test_the_scheme_without_a_timestamp() -> None:
    headers = sign(SECRET, BODY, identity="evt_1", timestamp=1)
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert headers["X-Sendry-Signature"] == f"sha256={expected}"
    assert sign(SECRET, BODY, identity="evt_2", timestamp=2)["X-Sendry-Signature"] == headers["X-Sendry-Signature"]


def test_the_identity_stays_and_the_time_changes_between_attempts() -> None:
    first = sign(SECRET, BODY, identity="evt_1", timestamp=10)
    second = sign(SECRET, BODY, identity="evt_1", timestamp=20)
    assert first["webhook-id"] == second["webhook-id"] == "evt_1"
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("secret", ["", "whsec_", "abc", "whsec_ab c", "whsec_a"])
def test_a_secret_of_another_form_signs_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        sign(secret, BODY, identity="evt_1", timestamp=1)


@pytest.mark.parametrize("identity", ["", "a.b", "a\r\nb", "é", "x" * 256])
def test_an_identity_that_cannot_stand_in_a_header_is_refused(identity: str) -> None:
    with pytest.raises(ValueError, match="identity"):
        sign(SECRET, BODY, identity=identity, timestamp=1)


@given(st.binary(min_size=24, max_size=64), st.text(min_size=1, max_size=200), st.integers(0, 2**33))
def test_any_text_is_signed_as_the_judge_signs_it(key: bytes, text: str, timestamp: int) -> None:
    body = text.encode("utf-8", "replace")
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = sign(secret, body, identity="evt_9", timestamp=timestamp)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=timestamp)
    assert headers["webhook-signature"] == standardwebhooks.Webhook(secret).sign("evt_9", moment, body.decode())
    assert verify_signature(body.decode(), headers["Sendry-Signature"], secret)


def test_two_secrets_are_valid_side_by_side() -> None:
    headers = sign(OTHER, BODY, identity="evt_1", timestamp=now(), previous=SECRET)
    judge(SECRET, BODY, headers)
    judge(OTHER, BODY, headers)
    assert verify_signature(BODY.decode(), headers["Sendry-Signature"], SECRET)
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert headers["X-Sendry-Signature"] == f"sha256={expected}"


HEADERS = sign(OTHER, BODY, identity="evt_1", timestamp=1_700_000_000)


@pytest.mark.parametrize(
    "pasted",
    [
        "\n".join(f"{name}: {value}" for name, value in HEADERS.items()),
        json.dumps(HEADERS),
        f"INFO x-sendry-signature={HEADERS['X-Sendry-Signature']} took=3ms",
        HEADERS["Sendry-Signature"],
        f"Webhook-Id: evt_1\nWebhook-Timestamp: 1700000000\nWebhook-Signature: v1,{'A' * 43}= {HEADERS['webhook-signature']}",
    ],
)
def test_a_signature_in_a_log_is_recognised(pasted: str) -> None:
    assert recognise(pasted, BODY, [SECRET, OTHER]) == OTHER
    assert recognise(pasted, BODY, [SECRET]) is None
    assert recognise(pasted, BODY + b" ", [SECRET, OTHER]) is None


def test_id_and_time_of_a_bare_signature_are_given_beside_it() -> None:
    pasted = HEADERS["webhook-signature"]
    assert recognise(pasted, BODY, [OTHER], identity="evt_1", timestamp="1700000000") == OTHER
    assert recognise(pasted, BODY, [OTHER], identity="evt_2", timestamp="1700000000") is None


@pytest.mark.parametrize("pasted", ["", "whsec_secret", "sha256=abc", "t=1,v1=abc"])
def test_a_text_without_a_signature_is_refused(pasted: str) -> None:
    with pytest.raises(ValueError, match="no signature"):
        recognise(pasted, BODY, [SECRET])


@given(st.text())
def test_any_text_can_be_pasted(pasted: str) -> None:
    with suppress(ValueError):
        assert recognise(pasted, BODY, [SECRET]) is None
