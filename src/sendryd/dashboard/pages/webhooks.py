"""Webhooks: endpoints and their health; a new one, with its secret and a test event."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from sendryd.accounts.webhooks import BadWebhook, Webhooks
from sendryd.dashboard.app import Page
from sendryd.dashboard.live import Source
from sendryd.dashboard.verifying import EXAMPLE_SECRET, example, verifying
from sendryd.dashboard.visit import Visit
from sendryd.dashboard.webhookview import OFFERED, path_of, person_of, read_webhook_view
from sendryd.model.ids import WEBHOOK_PREFIX, format_id
from sendryd.model.webhook import Webhook
from sendryd.store.errors import LimitReached

MOST: Final = 100  # webhooks of an account: 50 of live keys and people, 50 of test keys
USUAL: Final = ("email.delivered", "email.bounced", "email.complained")


async def show(visit: Visit) -> Response:
    """`GET /webhooks`."""
    return await _show(visit)


async def create(visit: Visit) -> Response:
    """`POST /webhooks`: creates one, sends it a test event, and shows its secret once."""
    url, events = visit.fields.get("url", ""), chosen_events(visit.fields)
    try:
        webhook = await operations(visit).create(person_of(visit), url, events)
    except BadWebhook as error:
        wrong = {error.field: f"{str(error)[:1].upper()}{str(error)[1:]}."}
        return await _show(visit, url=url, events=events, wrong=wrong, status=422)
    except LimitReached as error:
        return await _show(visit, url=url, events=events, wrong={"url": f"{error}."}, status=422)
    await visit.needs.webhooks.test_event(person_of(visit), webhook.id)
    return show_secret(visit, webhook, title="Webhook created", is_new=True)


async def _show(
    visit: Visit, *, url: str = "", events: Sequence[str] = USUAL, wrong: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    values = {
        **await _read(visit),
        "url": url,
        "events": tuple(event.value for event in OFFERED),
        "chosen": tuple(events),
        "wrong_url": (wrong or {}).get("url", ""),
        "wrong_events": (wrong or {}).get("events", ""),
        "snippets": verifying(example(EXAMPLE_SECRET, _now(visit))),
    }
    return visit.show("webhooks.html", "webhooks", values, status=status)


async def _read(visit: Visit) -> Mapping[str, object]:
    found = await visit.needs.store.page_webhooks(visit.account_id, limit=MOST)
    return {"rows": [await read_webhook_view(visit, each) for each in found.items]}


# Shared with the page of one webhook.


def show_secret(visit: Visit, webhook: Webhook, *, title: str, is_new: bool = False) -> Response:
    """The page that shows a secret, once."""
    values = {
        "title": title,
        "path": path_of(webhook),
        "is_new": is_new,
        "secret": webhook.secret,
        "snippets": verifying(example(webhook.secret, _now(visit))),
    }
    return visit.show("webhook_secret.html", "webhook", values)


def chosen_events(fields: Mapping[str, str]) -> list[str]:
    """The events of a form: a check box for each, or words in one field."""
    return [event.value for event in OFFERED if event.value in fields] + fields.get("events", "").replace(",", " ").split()


def operations(visit: Visit) -> Webhooks:
    """The operations on webhooks, with the visitor in the audit of each change."""
    return visit.needs.webhooks.by(visit.author)


async def audit(visit: Visit, action: str, webhook: Webhook, *, after: Mapping[str, object] | None = None) -> None:
    """Writes an entry about what a webhook is sent."""
    email, target = visit.me.signed_in.person.email, format_id(WEBHOOK_PREFIX, webhook.id)
    await visit.needs.audit.add(visit.account_id, email, visit.client, action, target, after=after)


def _now(visit: Visit) -> int:
    return int(visit.needs.clock.now().timestamp())


PAGES: Final = (
    Page(
        path="/webhooks",
        get=show,
        post=create,
        live=Source(page="webhooks", read=_read, parts={"webhooks": "webhooks_rows.html"}, interval=2.0),
    ),
)
