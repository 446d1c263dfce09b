"""Webhooks, their notifications and attempts as pages show them."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode, urlsplit

from sendryd.dashboard.statuses import StatusView
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.actor import Person
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import MESSAGE_PREFIX, NOTIFICATION_PREFIX, WEBHOOK_PREFIX, NotificationId, format_id, parse_id
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookAttempt, WebhookEvent, WebhookReplay
from sendryd.policy.explain.words import clock
from sendryd.policy.payload import make_body
from sendryd.policy.permissions import may_see_url
from sendryd.policy.rights import Right
from sendryd.policy.urlguard import HIDDEN, origin_of
from sendryd.store.base import NotificationFilter, Standing, WebhookHealth

HEALTH_PERIOD: Final = timedelta(hours=24)
HEALTH_ATTEMPTS: Final = 5_000  # the newest; reading them takes some milliseconds
LAST_OF_MINUTE: Final = timedelta(minutes=1) - timedelta(milliseconds=1)
CODE_LENGTH: Final = 3
SHOWN_ANSWER: Final = 200  # characters of an answer in the list
SIGNATURES: Final = frozenset({"x-sendry-signature", "sendry-signature", "webhook-signature"})
# The events that this program reports. Others can be subscribed to over REST.
OFFERED: Final = tuple(event for event in WebhookEvent if event.value.startswith(("email.", "domain.")))
MODES: Final = {KeyMode.LIVE: "", KeyMode.TEST: "test mail only"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookView:
    """A webhook and its health."""

    id: str
    path: str
    url: str  # without its hidden part for those who may not see it
    events: str
    mode: str
    status: StatusView
    sentence: str  # what is wrong; empty if nothing is
    since: Moment | None
    success: str  # `99.2 %`; empty without attempts
    p95: str  # `180 ms`; empty without answers
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One request and its answer."""

    number: int
    at: Moment
    tone: str
    code: str  # of the answer; empty if there was none
    took: str
    kind: str  # content type
    response: str
    fault: str
    request: str = ""  # its head, as it was sent; only on the page of the webhook
    curl: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayView:
    """How far a replay is."""

    left: int
    done: int
    of: int
    left_text: str
    total: str
    delivered: str
    failed: str  # empty: none
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationView:
    """A notification in a list."""

    id: str
    path: str
    event: str
    status: StatusView
    at: Moment
    code: str
    took: str
    tries: str  # `try 3 of 8`
    next: Moment | None
    mail: str  # the public id; empty for other facts
    answer: str  # its beginning; empty for a success
    is_open: bool
    may_replay: bool
    body: str
    attempts: tuple[AttemptView, ...]


def person_of(visit: Visit) -> Person:
    """The visitor as operations want it."""
    signed_in = visit.me.signed_in
    return Person(visit.account_id, signed_in.person.id, signed_in.membership.role)


def shown_url(visit: Visit, url: str, mode: KeyMode) -> str:
    """A URL as the visitor may see it."""
    return url if may_see_url(person_of(visit), mode) else origin_of(url)


async def read_webhook_view(visit: Visit, webhook: Webhook) -> WebhookView:
    """A webhook with the figures of its last day."""
    store, now = visit.needs.store, visit.needs.clock.now()
    health = await store.read_webhook_health(visit.account_id, webhook.id, since=now - HEALTH_PERIOD, limit=HEALTH_ATTEMPTS)
    status, sentence, since = _state(webhook, health)
    return WebhookView(
        id=format_id(WEBHOOK_PREFIX, webhook.id),
        path=path_of(webhook),
        url=shown_url(visit, webhook.url, webhook.mode),
        events=", ".join(event.value for event in webhook.events),
        mode=MODES[webhook.mode],
        status=status,
        sentence=sentence,
        since=moment_of(since) if since else None,
        success=f"{100 * health.successes / health.attempts:.1f} %" if health.attempts else "",
        p95=f"{percentile(health.durations, 95):,} ms" if health.durations else "",
        attempts=health.attempts,
    )


def path_of(webhook: Webhook) -> str:
    """The path of its page."""
    return f"/webhooks/{format_id(WEBHOOK_PREFIX, webhook.id)}"


def percentile(ascending: Sequence[int], part: int) -> int:
    """The nearest rank.

    >>> [percentile(each, 95) for each in ([7], [1, 9], list(range(1, 101)))]
    [7, 9, 95]
    """
    return ascending[max(0, -(-len(ascending) * part // 100) - 1)]


def _state(webhook: Webhook, health: WebhookHealth) -> tuple[StatusView, str, datetime | None]:
    if not webhook.is_active and webhook.disabled_reason:
        return StatusView("disabled", "Switched off", "bad", "bad"), webhook.disabled_reason, webhook.updated_at
    if not webhook.is_active:
        return StatusView("paused", "Paused", "hold", "hold"), "Nothing is sent to it until somebody lets it go on.", webhook.updated_at
    if webhook.failing_since:
        return (
            StatusView("failing", "Failing", "bad", "bad"),
            "Its last attempts failed. One at a time is tried; the others wait.",
            webhook.failing_since,
        )
    if not health.attempts:
        return StatusView("idle", "Nothing sent in 24 h", "off", "off"), "", None
    return StatusView("healthy", "Healthy", "ok", "ok"), "", None


# The list of notifications: what is asked for.


@dataclass(frozen=True, slots=True)
class Asked:
    """The filter of the page, as its address and forms have it."""

    show: str = ""
    event: str = ""
    code: str = ""
    start: str = ""  # `2026-11-29T13:00`, in UTC
    end: str = ""

    def query(self, **changes: str) -> str:
        """The part of an address after the path, with `?`; empty values are left out."""
        values = {"show": self.show, "event": self.event, "code": self.code, "from": self.start, "to": self.end, **changes}
        text = urlencode({name: value for name, value in values.items() if value})
        return f"?{text}" if text else ""

    @property
    def is_narrow(self) -> bool:
        """Whether there is any condition beside the view."""
        return any((self.event, self.code, self.start, self.end))

    def filter(self, standing: Standing | None) -> NotificationFilter:
        """The conditions."""
        start, end = _time(self.start), _time(self.end)
        return NotificationFilter(
            standing=standing,
            type=WebhookEvent(self.event) if self.event else None,
            status_code=int(self.code) if self.code else None,
            start=start,
            end=end + LAST_OF_MINUTE if end else None,
        )


def read_asked(get: Callable[[str], str]) -> Asked:
    """The filter of a form or an address; whatever is not valid is left out."""
    show, event, code, start, end = (get(name) for name in ("show", "event", "code", "from", "to"))
    return Asked(
        show if show in set(Standing) else "",
        event if event in set(WebhookEvent) else "",
        code if code.isascii() and code.isdecimal() and len(code) == CODE_LENGTH else "",
        start if _time(start) else "",
        end if _time(end) else "",
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except ValueError:
        return None


def notification_id(text: str) -> NotificationId | None:
    """The number of a public id."""
    number = parse_id(text, NOTIFICATION_PREFIX)
    return None if number is None else NotificationId(number)


# Notifications and attempts.


async def view_notifications(
    visit: Visit, webhook: Webhook, found: Sequence[Notification], *, asked: Asked, opened: NotificationId | None = None
) -> tuple[NotificationView, ...]:
    """Rows of a list; the opened one has its request and all kept attempts."""
    store = visit.needs.store
    last = await store.list_webhook_attempts(visit.account_id, [each.id for each in found], is_last=True)
    whole = await store.list_webhook_attempts(visit.account_id, [opened]) if opened is not None else {}
    return tuple(
        _notification(
            visit,
            webhook,
            each,
            asked,
            attempts=whole.get(each.id, ()) if each.id == opened else last.get(each.id, ()),
            is_open=each.id == opened,
        )
        for each in found
    )


def _notification(
    visit: Visit, webhook: Webhook, found: Notification, asked: Asked, *, attempts: Sequence[WebhookAttempt], is_open: bool
) -> NotificationView:
    now, newest = visit.needs.clock.now(), attempts[0] if attempts else None
    public_id = format_id(NOTIFICATION_PREFIX, found.id)
    is_waiting = found.state is NotificationState.PENDING
    body = make_body(found).decode("utf-8", "replace")
    tries = f"try {found.attempts} of {visit.needs.webhook_tries}" if is_waiting else f"try {found.attempts}"
    has_failed = found.state is NotificationState.FAILED or (is_waiting and found.attempts > 0)
    return NotificationView(
        id=public_id,
        path=path_of(webhook) + (asked.query() if is_open else asked.query(open=public_id)) + f"#{public_id}",
        event=found.type.value,
        status=status_of_notification(found),
        at=moment_of(newest.started_at if newest else found.created_at),
        code=str(found.status_code or ""),
        took=f"{newest.duration_ms:,} ms" if newest else "",
        tries=tries if found.attempts else "",
        next=Moment(moment_of(found.due_at).stamp, "now" if found.due_at <= now else clock(found.due_at, now))
        if is_waiting and found.attempts and webhook.is_active
        else None,
        mail=format_id(MESSAGE_PREFIX, found.event.message_id) if found.event else "",
        answer=_readable(found.response)[:SHOWN_ANSWER] if has_failed else "",
        is_open=is_open,
        may_replay=webhook.is_active and visit.me.may(Right.WORK) and (has_failed or found.state is NotificationState.DELIVERED),
        body=_readable(body) if is_open else "",
        attempts=tuple(view_attempt(visit, webhook.mode, each, body) for each in attempts) if is_open else (),
    )


def status_of_notification(found: Notification) -> StatusView:
    """A notification's state; `api` is the word of REST."""
    match found.state:
        case NotificationState.DELIVERED:
            return StatusView("delivered", "Taken", "ok", "ok")
        case NotificationState.FAILED:
            return StatusView("failed", "Given up", "bad", "bad")
        case NotificationState.LEASED:
            return StatusView("pending", "Sending", "go", "sending")
        case NotificationState.PENDING if found.attempts:
            return StatusView("pending", "Failing", "slow", "slow")
        case _:
            return StatusView("pending", "Waiting", "go", "go")


def brief_attempt(attempt: WebhookAttempt) -> AttemptView:
    """An attempt without its request."""
    return AttemptView(
        number=attempt.number,
        at=moment_of(attempt.started_at),
        tone="ok" if attempt.is_success else "bad",
        code=str(attempt.status_code or ""),
        took=f"{attempt.duration_ms:,} ms",
        kind=_readable(attempt.content_type),
        response=_readable(attempt.response),
        fault=attempt.fault,
    )


def view_attempt(visit: Visit, mode: KeyMode, attempt: WebhookAttempt, body: str) -> AttemptView:
    """An attempt with its request. Signatures and the path are shown to those who may change the webhook: with them others could repeat it."""
    may_see = may_see_url(person_of(visit), mode)
    headers = {name: value if may_see or name.lower() not in SIGNATURES else HIDDEN for name, value in attempt.headers.items()}
    parts = urlsplit(attempt.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    framing = {"Host": parts.netloc, "Content-Length": str(len(body.encode("utf-8", "replace")))}
    lines = [
        f"POST {target if may_see else '/' + HIDDEN} HTTP/1.1",
        *(f"{name}: {value}" for name, value in {**framing, **headers}.items()),
    ]
    flags = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    url = shlex.quote(attempt.url) if may_see else '"$WEBHOOK_URL"'
    curl = " \\\n  ".join([f"curl -X POST {url}", *flags, f"--data-binary {shlex.quote(body)}"])
    return replace(brief_attempt(attempt), request="\n".join(lines), curl=curl)


def view_replay(replay: WebhookReplay) -> ReplayView:
    """A replay."""
    return ReplayView(
        left=replay.left,
        done=max(replay.total - replay.left, 0),
        of=replay.total,
        left_text=f"{replay.left:,}",
        total=f"{replay.total:,}",
        delivered=f"{replay.delivered:,}",
        failed=f"{replay.failed:,}" if replay.failed else "",
        made_by=replay.made_by,
    )


def _readable(text: str) -> str:
    """Text of strangers, with a mark in place of each character that has no shape."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text.replace("\r\n", "\n"))
