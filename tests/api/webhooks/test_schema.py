"""Webhooks as answers have them, from model values alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sendryd.api.webhooks.schema import listed_webhook_json, new_webhook_json, notification_json, webhook_json
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import AccountId, ApiKeyId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookEvent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEBHOOK = Webhook(
    id=WebhookId(1),
    account_id=AccountId(1),
    url="https://example.com/hooks?token=t",
    events=(WebhookEvent.EMAIL_BOUNCED,),
    secret="whsec_x",
    is_active=True,
    created_at=NOW,
    updated_at=NOW,
)


def api_key(scope: Scope, mode: KeyMode) -> ApiKey:
    return ApiKey(id=ApiKeyId(1), account_id=AccountId(1), name="n", scope=scope, mode=mode, prefix="sn_live_abcd", created_at=NOW)


def test_a_live_key_with_full_access_sees_the_whole_webhook() -> None:
    key = api_key(Scope.FULL_ACCESS, KeyMode.LIVE)
    listed = {
        "id": "wh_0000000000001",
        "url": "https://example.com/hooks?token=t",
        "events": ["email.bounced"],
        "active": True,
        "failing_since": None,
        "disabled_reason": None,
        "created_at": "2026-03-01T12:00:00.000Z",
        "updated_at": "2026-03-01T12:00:00.000Z",
    }
    assert listed_webhook_json(WEBHOOK, key) == listed
    assert webhook_json(WEBHOOK, key) == {**listed, "secret": "whsec_x"}


@pytest.mark.parametrize(("scope", "mode"), [(Scope.READ_ONLY, KeyMode.LIVE), (Scope.FULL_ACCESS, KeyMode.TEST)])
def test_other_keys_see_neither_the_secret_nor_the_path_of_a_live_webhook(scope: Scope, mode: KeyMode) -> None:
    shown = webhook_json(WEBHOOK, api_key(scope, mode))
    assert shown["url"] == "https://example.com/[hidden]"
    assert "secret" not in shown


def test_a_test_key_sees_the_secret_of_its_webhook_only_in_the_answer_that_made_it() -> None:
    key = api_key(Scope.FULL_ACCESS, KeyMode.TEST)
    webhook = replace(WEBHOOK, mode=KeyMode.TEST)
    shown = webhook_json(webhook, key)
    assert (shown["mode"], shown["url"]) == ("test", webhook.url)
    assert "secret" not in shown
    assert new_webhook_json(webhook, key) == {**shown, "secret": "whsec_x"}


@pytest.mark.parametrize(
    ("state", "word", "next_attempt_at"),
    [
        (NotificationState.PENDING, "pending", "2026-03-01T12:00:00.000Z"),
        (NotificationState.LEASED, "pending", "2026-03-01T12:00:00.000Z"),
        (NotificationState.DELIVERED, "delivered", None),
        (NotificationState.FAILED, "failed", None),
    ],
)
def test_only_a_pending_notification_has_a_next_attempt(state: NotificationState, word: str, next_attempt_at: str | None) -> None:
    notification = Notification(
        id=NotificationId(2),
        account_id=AccountId(1),
        webhook_id=WebhookId(1),
        type=WebhookEvent.EMAIL_BOUNCED,
        mode=KeyMode.LIVE,
        state=state,
        created_at=NOW,
        due_at=NOW,
        origin_id=NotificationId(2),
        event=None,
        body={},
        attempts=1,
        status_code=None,
        response="",
        delivered_at=None,
    )
    shown = notification_json(notification)
    assert (shown["status"], shown["next_attempt_at"]) == (word, next_attempt_at)
