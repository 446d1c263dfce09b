"""Where the page of a public id is: somebody pastes an id of any kind into the search box."""

from typing import Final

from sendryd.dashboard.visit import Visit
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import (
    API_KEY_PREFIX,
    API_REQUEST_PREFIX,
    AUDIT_PREFIX,
    MEMBERSHIP_PREFIX,
    MESSAGE_PREFIX,
    PERSON_PREFIX,
    TEMPLATE_PREFIX,
    TEST_MESSAGE_PREFIX,
    WEBHOOK_PREFIX,
    DeliveryId,
    DomainId,
    EventId,
    MessageId,
    NotificationId,
    format_id,
)
from sendryd.store.base import EventFilter

# Pages that find the thing by themselves: the path, and the route that must be there.
_DIRECT: Final = {
    API_KEY_PREFIX: ("/keys#{id}", "/keys"),
    TEMPLATE_PREFIX: ("/templates/{id}", "/templates/{id}"),
    WEBHOOK_PREFIX: ("/webhooks/{id}", "/webhooks/{id}"),
    API_REQUEST_PREFIX: ("/log/api?open={id}", "/log/api"),
    PERSON_PREFIX: ("/team#{id}", "/team"),
    MEMBERSHIP_PREFIX: ("/team#{id}", "/team"),
    AUDIT_PREFIX: ("/audit#{id}", "/audit"),
}


async def path_of(visit: Visit, prefix: str, number: int) -> str:
    """The path of the page that shows it; empty if the account has no such thing, or there is no such page."""
    if prefix in _DIRECT:
        path, route = _DIRECT[prefix]
        return path.format(id=format_id(prefix, number)) if route in visit.needs.paths else ""
    match prefix:
        case "em" | "te":
            return await _message_path(visit, MessageId(number), prefix)
        case "dlv":
            delivery = await visit.needs.store.find_delivery(DeliveryId(number))
            is_ours = delivery is not None and delivery.message.account_id == visit.account_id
            return await _message_path(visit, delivery.message.id, MESSAGE_PREFIX) if delivery and is_ours else ""
        case "evt":
            return await _event_path(visit, EventId(number))
        case "dom":
            domain = await visit.needs.store.get_domain(DomainId(number))
            return f"/domains/{domain.name}" if domain and domain.account_id == visit.account_id else ""
        case "whd":
            found = await visit.needs.store.get_notification(visit.account_id, NotificationId(number))
            return f"/webhooks/{format_id(WEBHOOK_PREFIX, found.webhook_id)}" if found else ""
    return ""


async def _message_path(visit: Visit, message_id: MessageId, prefix: str) -> str:
    found = await visit.needs.store.get_message(visit.account_id, message_id)
    if found is None:
        return ""
    if prefix == TEST_MESSAGE_PREFIX and found.message.mode is KeyMode.TEST and "/test" in visit.needs.paths:
        return f"/test?open={format_id(TEST_MESSAGE_PREFIX, message_id)}"
    return f"/emails/{format_id(MESSAGE_PREFIX, message_id)}"


async def _event_path(visit: Visit, event_id: EventId) -> str:
    for mode in KeyMode:
        found = await visit.needs.store.list_events(visit.account_id, EventFilter(mode=mode), limit=1, before=EventId(event_id + 1))
        if found.items and found.items[0].id == event_id:
            return await _message_path(visit, found.items[0].message_id, MESSAGE_PREFIX)
    return ""
