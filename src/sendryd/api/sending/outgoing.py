"""One message as a request asks for it, whichever kind of request it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sendryd.api.framework.reading import validate
from sendryd.api.framework.requests import invalid
from sendryd.api.sending.schema import AttachmentBody, BatchBody, BatchItemBody, MarketingBody, SendBody, Tag
from sendryd.intake.submission import Options
from sendryd.message.mailbox import Mailbox
from sendryd.model.message import MessageClass, MessageType
from sendryd.policy.send_time import ScheduleError, parse_scheduled_at
from sendryd.runtime.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a request asks for. A template, if there is one, has not been rendered."""

    sender: Mailbox
    to: Sequence[Mailbox]
    cc: Sequence[Mailbox] = ()
    bcc: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    subject: str | None
    html: str | None
    text: str | None
    headers: Mapping[str, str]
    attachments: Sequence[AttachmentBody] = ()
    template_id: str | None
    variables: Mapping[str, object]
    options: Options


def read_send(body: SendBody, clock: Clock) -> Outgoing:
    """One message. Raises `Refused`."""
    if body.topic_id:
        raise invalid("topic_id", "There are no topics here yet: leave topic_id out")
    return Outgoing(
        sender=body.sender,
        to=body.to,
        cc=body.cc or (),
        bcc=body.bcc or (),
        reply_to=body.reply_to or (),
        subject=body.subject,
        html=body.html,
        text=body.text,
        headers=body.headers or {},
        attachments=body.attachments or (),
        template_id=body.template_id,
        variables=body.variables or {},
        options=Options(
            tags=_tags(body.tags),
            scheduled_at=_read_schedule(body.scheduled_at, clock),
            track_opens=body.tracking,
            track_clicks=body.tracking,
            is_rest=True,
            priority=_priority(body.priority),
        ),
    )


def read_item(body: BatchBody, data: object) -> Outgoing:
    """One message of a batch; the batch gives what it lacks. Raises `Refused`."""
    item = validate(BatchItemBody, data)
    sender = item.sender or body.sender
    if sender is None:
        raise invalid("from", "from: it is required, in the email or for the whole batch")
    return Outgoing(
        sender=sender,
        to=item.to,
        cc=item.cc or (),
        bcc=item.bcc or (),
        reply_to=item.reply_to or (),
        subject=item.subject or body.subject,
        html=item.html,
        text=item.text,
        headers={},
        attachments=item.attachments or (),
        template_id=None if item.html or item.text else body.template_id,
        variables={**(body.variables or {}), **(item.variables or {})},
        options=Options(tags=_tags(item.tags), is_rest=True, priority=_priority(item.priority)),
    )


def read_marketing(body: MarketingBody, clock: Clock) -> Outgoing:
    """One marketing message. Raises `Refused`."""
    return Outgoing(
        sender=body.sender,
        to=body.to,
        reply_to=body.reply_to or (),
        subject=body.subject,
        html=body.html,
        text=body.text,
        headers=body.headers or {},
        template_id=body.template_id,
        variables=body.variables or {},
        options=Options(
            type=MessageType.MARKETING,
            tags=_tags(body.tags),
            scheduled_at=_read_schedule(body.scheduled_at, clock),
            list_id=body.list_id,
            unsubscribe_url=body.unsubscribe_url,
            is_rest=True,
        ),
    )


def _read_schedule(text: str | None, clock: Clock) -> datetime | None:
    if not text:
        return None
    now = clock.now()
    try:
        moment = parse_scheduled_at(text, now)
    except ScheduleError as error:
        raise invalid("scheduled_at", f"scheduled_at: {error}") from None
    return moment if moment > now else None


def _priority(word: str | None) -> MessageClass | None:
    return MessageClass(word) if word is not None else None


def _tags(tags: Sequence[Tag] | None) -> tuple[tuple[str, str], ...]:
    return tuple((tag.name, tag.value) for tag in tags or ())
