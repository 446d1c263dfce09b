"""Webhook: one endpoint, what it was sent and what it answered; replays, its secret, its signatures."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeAlias

from starlette.responses import Response

from sendryd.accounts.webhooks import BadWebhook, Signer, WebhookChange
from sendryd.dashboard.app import Page, Show
from sendryd.dashboard.live import Source
from sendryd.dashboard.pages.webhooks import audit, chosen_events, operations, show_secret
from sendryd.dashboard.timeline import moment_of
from sendryd.dashboard.visit import Visit
from sendryd.dashboard.webhookview import (
    OFFERED,
    notification_id,
    path_of,
    person_of,
    read_asked,
    read_webhook_view,
    shown_url,
    view_notifications,
    view_replay,
)
from sendryd.model.ids import WEBHOOK_PREFIX, NotificationId, WebhookId, format_id, parse_id
from sendryd.model.webhook import Webhook
from sendryd.policy.explain.words import count
from sendryd.store.base import NotificationFilter, Standing
from sendryd.store.errors import NotAllowed, NotFound

PAGE: Final = 50
MAX_COUNTED: Final = 10_001  # that wait; of those that fail all are counted, for a person decides by the number
MAX_DIGITS: Final = 9
REPLAY_SHOWN: Final = timedelta(hours=1)  # how long a replay that is over stays on the page
PARTS: Final = {
    "webhook-state": "webhook_state.html",
    "webhook-replay": "webhook_replay.html",
    "webhook-views": "webhook_views.html",
    "webhook-rows": "webhook_rows.html",
}
VERDICTS: Final[Mapping[Signer, tuple[bool, str]]] = {
    Signer.PRESENT: (True, "The signature is right: the present secret made it."),
    Signer.PREVIOUS: (True, "The signature is right: the secret before the last rotation made it, which is still valid."),
    Signer.EXPIRED: (False, "The secret before the last rotation made this signature, and its time is over."),
    Signer.UNKNOWN: (
        False,
        "No secret of this webhook made this signature: the body is not what was sent, octet by octet, or the sender is another.",
    ),
}
DID: Final[Mapping[str, str]] = {
    "test": "A test event is on its way.",
    "pause": "The webhook is paused.",
    "resume": "The webhook goes on.",
    "edit": "The webhook is changed.",
    "settled": "Only the present secret is valid.",
}

Change: TypeAlias = Callable[[Visit, Webhook], Awaitable[Response]]


async def show(visit: Visit) -> Response:
    """`GET /webhooks/{id}`."""
    return await _show(visit)


async def _show(visit: Visit, *, status: int = 200, **values: object) -> Response:
    webhook = await _find(visit)
    if webhook is None:
        return visit.show("missing.html", "missing", {}, status=404)
    asked, now = read_asked(visit.query), visit.needs.clock.now()
    read = await _read(visit)
    second = webhook.previous_until if webhook.second_secret(now) else None
    usual = {
        "told": _told(visit),
        "fault": "",
        "url": shown_url(visit, webhook.url, webhook.mode),
        "wrong_url": "",
        "wrong_events": "",
        "events": tuple(event.value for event in OFFERED),
        "chosen": tuple(event.value for event in webhook.events),
        "asked": asked,
        "second_until": moment_of(second) if second else None,
        "headers": "",
        "body": "",
        "verdict": "",
        "is_right": False,
        "wrong_headers": "",
    }
    return visit.show("webhook.html", "webhook", {**usual, **read, **values}, status=status)


async def _read(visit: Visit) -> Mapping[str, object]:
    webhook = await _find(visit)
    if webhook is None:
        raise NotFound("no such webhook")
    store, asked = visit.needs.store, read_asked(visit.query)
    opened, before = notification_id(visit.query("open")), notification_id(visit.query("before"))
    standing = Standing(asked.show) if asked.show else None
    if opened is not None and before is None and await _is_of(visit, webhook, opened):
        before = NotificationId(opened + 1)
    found = await store.search_notifications(visit.account_id, webhook.id, asked.filter(standing), limit=PAGE, before=before)
    failing = await store.count_notifications(visit.account_id, webhook.id, asked.filter(Standing.FAILING))
    waiting = await store.count_notifications(visit.account_id, webhook.id, asked.filter(Standing.WAITING), limit=MAX_COUNTED)
    last = found.items[-1].id if found.items else None
    replay = await store.get_replay(visit.account_id, webhook.id)
    is_over = replay is not None and not replay.left and visit.needs.clock.now() - replay.created_at > REPLAY_SHOWN
    return {
        "webhook": await read_webhook_view(visit, webhook),
        "is_active": webhook.is_active,
        "replay": None if replay is None or is_over else view_replay(replay),
        "asked": asked,
        "failing": failing,
        "failing_text": f"{failing:,}",
        "waiting_text": f"{waiting:,}" if waiting < MAX_COUNTED else f"more than {MAX_COUNTED - 1:,}",
        **{f"{each or 'all'}_query": replace(asked, show=each).query() for each in ("", *Standing)},
        "rows": await view_notifications(visit, webhook, found.items, asked=asked, opened=opened),
        "older": path_of(webhook) + asked.query(before=format_id("whd", last)) if found.has_more and last else "",
        "newest": path_of(webhook) + asked.query() if before is not None else "",
    }


async def _is_of(visit: Visit, webhook: Webhook, opened: NotificationId) -> bool:
    """Whether the opened notification is this webhook's, and not among the newest, which are listed anyway."""
    notification = await visit.needs.store.get_notification(visit.account_id, opened)
    if notification is None or notification.webhook_id != webhook.id:
        return False
    newest = await visit.needs.store.search_notifications(visit.account_id, webhook.id, NotificationFilter(), limit=PAGE)
    return bool(newest.items) and opened < newest.items[-1].id


async def _find(visit: Visit) -> Webhook | None:
    number = parse_id(visit.request.path_params["id"], WEBHOOK_PREFIX)
    return None if number is None else await visit.needs.store.get_webhook(visit.account_id, WebhookId(number))


def _told(visit: Visit) -> str:
    """What the change before has done."""
    did, number = visit.query("did"), visit.query("n")
    if did == "replay" and number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS:
        return f"{count(int(number), 'event is', 'events are')} sent again." if int(number) else "Nothing was left to send again."
    return DID.get(did, "")


# The changes.


def _changing(change: Change) -> Show:
    async def handle(visit: Visit) -> Response:
        webhook = await _find(visit)
        if webhook is None:
            return visit.show("missing.html", "missing", {}, status=404)
        try:
            return await change(visit, webhook)
        except NotAllowed as error:
            return await _show(visit, fault=f"{str(error)[:1].upper()}{str(error)[1:]}.", status=409)

    return handle


def _back(visit: Visit, webhook: Webhook, did: str, number: int | None = None) -> Response:
    asked = read_asked(lambda name: visit.fields.get(name, ""))
    return visit.go(path_of(webhook) + asked.query(did=did, n="" if number is None else str(number)))


async def test(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/test`: sends a test event."""
    await visit.needs.webhooks.test_event(person_of(visit), webhook.id)
    await audit(visit, "webhook.tested", webhook)
    return _back(visit, webhook, "test")


async def pause(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/pause`."""
    await operations(visit).update(person_of(visit), webhook.id, WebhookChange(is_active=False))
    return _back(visit, webhook, "pause")


async def resume(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/resume`."""
    await operations(visit).update(person_of(visit), webhook.id, WebhookChange(is_active=True))
    return _back(visit, webhook, "resume")


async def edit(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/edit`: another URL, other events. Events that are not offered here stay."""
    url, events = visit.fields.get("url", ""), chosen_events(visit.fields)
    kept = [event.value for event in webhook.events if event not in OFFERED]
    try:
        await operations(visit).update(person_of(visit), webhook.id, WebhookChange(url=url or None, events=[*events, *kept]))
    except BadWebhook as error:
        wrong = {f"wrong_{error.field}": f"{str(error)[:1].upper()}{str(error)[1:]}."}
        return await _show(visit, url=url, chosen=tuple(events), status=422, **wrong)
    return _back(visit, webhook, "edit")


async def rotate(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/rotate`: a new secret, shown once."""
    changed = await operations(visit).rotate_secret(person_of(visit), webhook.id)
    return show_secret(visit, changed, title="The secret is rotated")


async def settle(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/settle`: the secret before the rotation is not valid any more."""
    await operations(visit).end_previous_secret(person_of(visit), webhook.id)
    return _back(visit, webhook, "settled")


async def remove(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/delete`."""
    await operations(visit).remove(person_of(visit), webhook.id)
    return visit.go("/webhooks")


async def replay(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/replay`: sends the chosen notifications again, whose ids are names of fields."""
    numbers = [number for name in visit.fields if (number := notification_id(name)) is not None]
    made = await visit.needs.webhooks.send_again(person_of(visit), webhook.id, numbers)
    if made:
        await audit(visit, "webhook.replayed", webhook, after={"notifications": made})
    return _back(visit, webhook, "replay", made)


async def replay_failing(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/replay-failed`: sends all that fail and match the filter again."""
    asked = read_asked(lambda name: visit.fields.get(name, ""))
    by = visit.me.signed_in.person.name
    try:
        total = await visit.needs.webhooks.replay_failing(person_of(visit), webhook.id, asked.filter(Standing.FAILING), by=by)
    except BadWebhook as error:
        return await _show(visit, fault=f"{error.sentence}.", status=422)
    await audit(visit, "webhook.replayed", webhook, after={"notifications": total})
    return _back(visit, webhook, "replay", total)


async def check(visit: Visit, webhook: Webhook) -> Response:
    """`POST /webhooks/{id}/check`: whose secret made a signature from a log."""
    headers, body = visit.fields.get("headers", ""), visit.fields.get("body", "")
    try:
        signer = await visit.needs.webhooks.check_signature(person_of(visit), webhook.id, headers, body.encode("utf-8", "replace"))
    except BadWebhook as error:
        wrong = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return await _show(visit, headers=headers, body=body, wrong_headers=wrong, status=422)
    is_right, verdict = VERDICTS[signer]
    return await _show(visit, headers=headers, body=body, verdict=verdict, is_right=is_right)


PAGES: Final = (
    Page(path="/webhooks/{id}", get=show, live=Source(page="webhook", read=_read, parts=PARTS)),
    Page(path="/webhooks/{id}/test", post=_changing(test)),
    Page(path="/webhooks/{id}/pause", post=_changing(pause)),
    Page(path="/webhooks/{id}/resume", post=_changing(resume)),
    Page(path="/webhooks/{id}/edit", post=_changing(edit)),
    Page(path="/webhooks/{id}/rotate", post=_changing(rotate)),
    Page(path="/webhooks/{id}/settle", post=_changing(settle)),
    Page(path="/webhooks/{id}/delete", post=_changing(remove)),
    Page(path="/webhooks/{id}/replay", post=_changing(replay)),
    Page(path="/webhooks/{id}/replay-failed", post=_changing(replay_failing)),
    Page(path="/webhooks/{id}/check", post=_changing(check)),
)
