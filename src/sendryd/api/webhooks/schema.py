"""Webhooks and their deliveries as requests and answers have them. Pure."""

from typing import Annotated, Final, Literal, NotRequired, assert_never

from pydantic import AliasChoices, Field
from typing_extensions import TypedDict

from sendryd.api.framework.answers import timestamp_or_none
from sendryd.api.framework.bodies import Body, PageQuery
from sendryd.api.framework.moments import EndMoment, StartMoment
from sendryd.model import webhook as model
from sendryd.model.actor import Actor
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import NOTIFICATION_PREFIX, WEBHOOK_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.model.webhook import NotificationState
from sendryd.policy.payload import payload_of
from sendryd.policy.permissions import may_see_secrets, may_see_url
from sendryd.policy.urlguard import origin_of

MAX_URL: Final = 2048  # characters: what servers in front of an endpoint take
MAX_EVENTS: Final = 100  # words, repetitions included; there are fewer events

Url = Annotated[str, Field(max_length=MAX_URL, json_schema_extra={"format": "uri"})]
Events = Annotated[list[str], Field(min_length=1, max_length=MAX_EVENTS)]

DeliveryStatus = Literal["pending", "delivered", "failed"]


class NewWebhook(Body):
    """A webhook to create."""

    url: Url
    events: Events
    active: bool | None = None


class WebhookUpdate(Body):
    """The fields of a webhook to change."""

    url: Url | None = None
    events: Events | None = None
    active: bool | None = None


class DeliveriesQuery(PageQuery):
    """Of the list of notifications."""

    webhook_id: str | None = None


class Range(Body):
    """The time range of the deliveries to replay."""

    start: Annotated[StartMoment, Field(validation_alias=AliasChoices("from", "from_"))]
    end: Annotated[EndMoment, Field(validation_alias="to")]
    failed_only: Annotated[bool | None, Field(description="Replay failed deliveries only; true by default.")] = None


class WebhookListItem(TypedDict):
    """A webhook without its secret."""

    id: str
    url: str
    events: list[str]
    active: bool
    mode: NotRequired[Literal["test"]]  # of a webhook made by a test key: it gets events of test mail alone
    failing_since: str | None
    disabled_reason: str | None
    created_at: str
    updated_at: str


class Webhook(WebhookListItem):
    """A webhook. Only the answer that created it and answers to live keys with full access contain its secret."""

    secret: NotRequired[str]


class CreatedWebhook(WebhookListItem):
    """A webhook with its secret."""

    secret: str


class WebhookDelivery(TypedDict):
    """A webhook delivery, with the endpoint's last answer."""

    id: str
    webhook_id: str
    event: str
    payload: dict[str, object]
    status: DeliveryStatus
    status_code: int | None
    response: str | None
    attempts: int
    next_attempt_at: str | None
    delivered_at: str | None
    created_at: str


class Replayed(TypedDict):
    """A webhook delivery that is queued again."""

    id: str
    queued: bool


class ReplayedRange(TypedDict):
    """The number of deliveries that are queued again."""

    queued: int


def listed_webhook_json(webhook: model.Webhook, actor: Actor) -> WebhookListItem:
    """A webhook without its secret."""
    return _without_secret(webhook, actor)


def webhook_json(webhook: model.Webhook, actor: Actor) -> Webhook:
    """A webhook, with its secret for a key that may see it."""
    body = _without_secret(webhook, actor)
    if may_see_secrets(actor):
        body["secret"] = webhook.secret
    return body


def new_webhook_json(webhook: model.Webhook, actor: Actor) -> CreatedWebhook:
    """A webhook with its secret, for the key that created it."""
    return {**_without_secret(webhook, actor), "secret": webhook.secret}


def _without_secret(webhook: model.Webhook, actor: Actor) -> Webhook:
    """A key that cannot change the webhook sees only the host of its URL."""
    body: Webhook = {
        "id": format_id(WEBHOOK_PREFIX, webhook.id),
        "url": webhook.url if may_see_url(actor, webhook.mode) else origin_of(webhook.url),
        "events": [event.value for event in webhook.events],
        "active": webhook.is_active,
        "failing_since": timestamp_or_none(webhook.failing_since),
        "disabled_reason": webhook.disabled_reason,
        "created_at": timestamp(webhook.created_at),
        "updated_at": timestamp(webhook.updated_at),
    }
    if webhook.mode is KeyMode.TEST:
        body["mode"] = "test"
    return body


def status_word(state: NotificationState) -> DeliveryStatus:
    """The public word of a notification's state."""
    match state:
        case NotificationState.PENDING | NotificationState.LEASED:
            return "pending"
        case NotificationState.DELIVERED:
            return "delivered"
        case NotificationState.FAILED:
            return "failed"
    assert_never(state)


def notification_json(notification: model.Notification) -> WebhookDelivery:
    """A notification and the last answer to it."""
    status = status_word(notification.state)
    return {
        "id": format_id(NOTIFICATION_PREFIX, notification.id),
        "webhook_id": format_id(WEBHOOK_PREFIX, notification.webhook_id),
        "event": notification.type.value,
        "payload": payload_of(notification),
        "status": status,
        "status_code": notification.status_code,
        "response": notification.response or None,
        "attempts": notification.attempts,
        "next_attempt_at": timestamp(notification.due_at) if status == "pending" else None,
        "delivered_at": timestamp_or_none(notification.delivered_at),
        "created_at": timestamp(notification.created_at),
    }


def queued_json(notification: model.Notification) -> Replayed:
    """A notification that was just queued."""
    return {"id": format_id(NOTIFICATION_PREFIX, notification.id), "queued": True}
