"""Emails and their events as requests and answers have them. Pure."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.api.framework.answers import timestamp_or_none
from sendryd.api.framework.bodies import Flag, PageQuery, SearchText
from sendryd.message.parse import Summary
from sendryd.model.dialogue import PLACE
from sendryd.model.event import Event
from sendryd.model.ids import EVENT_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.model.message import MessageSummary, derive_status
from sendryd.model.moment import timestamp

EmailStatus = Literal["queued", "sending", "delivered", "bounced", "failed", "complained", "cancelled"]


class EmailsQuery(PageQuery):
    """Of the list of messages."""

    q: Annotated[
        SearchText | None,
        Field(
            description="Words of the subject, of names and of addresses; the last one may be a beginning. Where no email has them, parts of"
            " the subject and of addresses. Case does not matter."
        ),
    ] = None
    status: str | None = None
    include_total: Flag = False


class EventsQuery(PageQuery):
    """Of the list of one message's events."""

    type: str | None = None


class AttachmentName(TypedDict):
    """An attachment without its content."""

    filename: str
    content_type: str


Email = TypedDict(
    "Email",
    {
        "id": str,
        "from": str,
        "to": list[str],
        "subject": str,
        "status": EmailStatus,
        "created_at": str,
        "sent_at": str | None,
        "last_event": str | None,
        "region": str | None,
        "scheduled_at": str | None,
        "tags": list[dict[str, str]],
        "attachments": NotRequired[list[AttachmentName]],
    },
)


class Share(TypedDict):
    """A link that shows an email to anyone."""

    url: str
    expires_at: str


class EmailEvent(TypedDict):
    """An event of one recipient."""

    id: str
    email_id: str
    type: str
    recipient: str
    metadata: dict[str, object]
    created_at: str


def email_json(summary: MessageSummary, content: Summary | None = None) -> Email:
    """A message; with its attachments if its content was read."""
    message = summary.message
    body: Email = {
        "id": format_id(MESSAGE_PREFIX, message.id),
        "from": message.author,
        "to": list(message.to),
        "subject": message.subject,
        "status": derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained).value,
        "created_at": timestamp(message.created_at),
        "sent_at": timestamp_or_none(summary.sent_at),
        "last_event": summary.last_event.value if summary.last_event else None,
        "region": None,
        "scheduled_at": timestamp_or_none(message.scheduled_at),
        "tags": [{"name": name, "value": value} for name, value in message.tags],
    }
    if content is not None:
        body["attachments"] = [{"filename": each.filename, "content_type": each.content_type} for each in content.attachments]
    return body


def event_json(event: Event) -> EmailEvent:
    """An event."""
    return {
        "id": format_id(EVENT_PREFIX, event.id),
        "email_id": format_id(MESSAGE_PREFIX, event.message_id),
        "type": event.type.value,
        "recipient": event.recipient,
        "metadata": {name: value for name, value in event.metadata.items() if name != PLACE},
        "created_at": timestamp(event.created_at),
    }
