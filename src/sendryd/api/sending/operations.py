"""Sending: one message, a batch, marketing; changing and cancelling what is scheduled.

A request becomes a message here, and goes through the same door as one that came over SMTP.
"""

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sendryd.accounts.changes import reapply
from sendryd.api.emails.operations import GROUP, find_email, show_email
from sendryd.api.emails.schema import Email, EmailStatus
from sendryd.api.framework.answers import Json
from sendryd.api.framework.operation import SMALL_BODY, Call, Operation
from sendryd.api.framework.reading import validate
from sendryd.api.framework.requests import Refused, encode, invalid, not_found, respond
from sendryd.api.sending.schema import (
    AmendBody,
    AttachmentBody,
    BatchBody,
    BatchItemBody,
    Content,
    MarketingBody,
    SendBody,
    Tag,
)
from sendryd.api.shapes import BatchResult, Cancelled, SendResult
from sendryd.intake.accept import Intake, Made
from sendryd.intake.assemble import Prepared
from sendryd.intake.idempotency import Asked, answer_name
from sendryd.intake.obey import BOUNDARY_LENGTH, TemplateRenderer
from sendryd.intake.submission import Options, Origin, Recipient, Submission
from sendryd.message.compose import Attachment, Composition, compose
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import Mailbox
from sendryd.message.template import TemplateError
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import MESSAGE_PREFIX, TEMPLATE_PREFIX, EventId, MessageId, TemplateId, format_id, parse_id
from sendryd.model.message import MessageStatus, MessageType, derive_status
from sendryd.model.moment import timestamp
from sendryd.policy.permissions import NotForLiveMail
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.schedule import ScheduleError, parse_scheduled_at
from sendryd.runtime import offload
from sendryd.runtime.answers import Answers
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import Rand
from sendryd.store.base import NewEvent, NewMessage, Store
from sendryd.store.errors import NotAllowed, NotFound

BREATH: Final = 10  # messages of a batch that are made in one go; then others get their turn
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?", re.ASCII)
_TOO_LATE: Final = "Only a scheduled email that has not begun to be sent can be changed"
_SENT: Final = "The email has begun to be sent, and cannot be cancelled any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message as a request asks for it, whichever kind of request it is."""

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
    variables: Mapping[str, Any]
    options: Options


_TWINS: Final = "The `Idempotency-Key` was used for another request, or the same request is still being answered."
_DOMAIN: Final = "The domain of `from` is not verified, and the key is a live one."


class SendHandlers:
    """Everything that makes or changes messages."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        templates: TemplateRenderer,
        answers: Answers,
        *,
        max_size: int,
        clock: Clock,
        ids: IdSource,
        rand: Rand,
    ) -> None:
        self._store = store
        self._intake = intake
        self._templates = templates
        self._answers = answers
        self._max_size = max_size
        self._clock = clock
        self._ids = ids
        self._rand = rand

    def operations(self) -> list[Operation]:
        """The declarations."""
        path, scope, size = "/v1/emails", Scope.SENDING_ACCESS, self._max_size
        cancel = Operation(
            method="POST",
            path=f"{path}/{{id}}/cancel",
            group=GROUP,
            summary="Cancel an email that has not begun to be sent",
            handler=self.cancel,
            answers=Cancelled,
            scope=scope,
            conflict="The email has begun to be sent.",
        )
        return [
            Operation(
                method="POST",
                path=path,
                group=GROUP,
                summary="Send an email, or schedule it",
                handler=self.send,
                answers=SendResult,
                scope=scope,
                max_body=size,
                is_send=True,
                example={
                    "from": "Acme <hello@example.com>",
                    "to": ["Ann <ann@example.org>"],
                    "subject": "Your order",
                    "html": "<p>It is on its way.</p>",
                    "text": "It is on its way.",
                    "tags": [{"name": "kind", "value": "order"}],
                },
                conflict=_TWINS,
                forbidden=_DOMAIN,
                is_idempotent=True,
            ),
            Operation(
                method="POST",
                path=f"{path}/batch",
                group=GROUP,
                summary="Send up to 100 emails in one commit",
                handler=self.send_batch,
                answers=BatchResult,
                scope=scope,
                max_body=size,
                is_send=True,
                example={
                    "from": "hello@example.com",
                    "subject": "Your order",
                    "emails": [{"to": "ann@example.org", "text": "It is on its way."}, {"to": "bob@example.org", "text": "It is packed."}],
                },
                conflict=_TWINS,
                forbidden=_DOMAIN,
                is_idempotent=True,
            ),
            Operation(
                method="POST",
                path=f"{path}/marketing",
                group=GROUP,
                summary="Send marketing that recipients can unsubscribe from with one click",
                handler=self.send_marketing,
                answers=SendResult,
                scope=scope,
                max_body=size,
                is_send=True,
                example={
                    "from": "Acme <news@example.com>",
                    "to": "ann@example.org",
                    "subject": "This month",
                    "html": "<p>What is new.</p>",
                    "unsubscribe_url": "https://example.com/unsubscribe",
                    "list_id": "monthly",
                },
                conflict=_TWINS,
                forbidden=_DOMAIN,
                is_idempotent=True,
            ),
            Operation(
                method="PATCH",
                path=f"{path}/{{id}}",
                group=GROUP,
                summary="Change a scheduled email",
                handler=self.amend,
                answers=Email,
                scope=scope,
                max_body=size,
                is_send=True,
                example={"subject": "A better subject", "scheduled_at": "tomorrow at 9am"},
                conflict="The email is not scheduled, or has begun to be sent.",
                forbidden=_DOMAIN,
            ),
            cancel,
            cancel.alias(method="DELETE", path=f"{path}/{{id}}"),
        ]

    async def send(self, call: Call[SendBody, None]) -> Json | Response:
        """`POST /v1/emails`."""
        outgoing = self._read_send(call.body)
        return await self._send_one(call, outgoing)

    async def send_marketing(self, call: Call[MarketingBody, None]) -> Json | Response:
        """`POST /v1/emails/marketing`."""
        outgoing = self._read_marketing(call.body)
        return await self._send_one(call, outgoing)

    async def _send_one(self, call: Call[Any, Any], outgoing: Outgoing) -> Json | Response:
        if outgoing.options.scheduled_at is not None:
            outgoing = replace(outgoing, options=replace(outgoing.options, draft=call.raw))

        async def make() -> Made | Refusal:
            prepared = await self._prepare(call.key, call.request, outgoing)
            return prepared if isinstance(prepared, Refusal) else ([prepared], encode(_send_result(outgoing, prepared.new)))

        return await self._once(call, make)

    async def send_batch(self, call: Call[BatchBody, None]) -> Json | Response:
        """`POST /v1/emails/batch`."""
        body: BatchBody = call.body

        async def make() -> Made:
            prepared: list[Prepared] = []
            errors: list[Json] = []
            for index, item in enumerate(body.emails):
                made = await self._try_item(call, body, item)
                if isinstance(made, Prepared):
                    prepared.append(made)
                elif body.batch_validation == "strict":
                    raise _in_batch(made, index)
                else:
                    errors.append({"index": index, "error": str(made)})
                if index % BREATH == BREATH - 1:
                    await asyncio.sleep(0)  # noqa: TID251  a turn for others
            answer: Json = {"data": [{"id": each.public_id, "status": _status(each.new)} for each in prepared]}
            if body.batch_validation == "permissive":
                answer["errors"] = errors
            return prepared, encode(answer)

        return await self._once(call, make)

    async def _try_item(self, call: Call[Any, Any], body: BatchBody, item: Any) -> Prepared | Refused:
        try:
            made = await self._prepare(call.key, call.request, self._read_item(body, item))
        except Refused as error:
            return error
        return self._refused(made) if isinstance(made, Refusal) else made

    async def _once(self, call: Call[Any, Any], make: Callable[[], Awaitable[Made | Refusal]]) -> Response:
        """Makes messages and commits them with the answer; with an idempotency key once only."""
        key, given = call.key, _idempotency_key(call.request)
        asked = None if given is None else Asked(key.account_id, answer_name(key.mode, given), _fingerprint(call))
        answered = await self._intake.send_once(asked, make)
        if isinstance(answered, Refusal):
            raise self._refused(answered)
        return respond(answered.body, headers={"Idempotent-Replayed": "true"} if answered.is_repeat else None)

    def _refused(self, refusal: Refusal) -> Refused:
        is_quota = refusal.key is RefusalKey.QUOTA_REACHED
        return Refused(refusal, headers={"Retry-After": str(self._intake.quota_resets_in(refusal))} if is_quota else None)

    # From requests to messages.

    def _read_send(self, body: SendBody) -> Outgoing:
        if body.topic_id:
            raise invalid("topic_id", "There are no topics here yet: leave topic_id out")
        return Outgoing(
            **_shared(body),
            sender=body.sender,
            subject=body.subject,
            headers=body.headers or {},
            template_id=body.template_id,
            variables=body.variables or {},
            options=Options(
                tags=_tags(body.tags),
                scheduled_at=self._read_schedule(body.scheduled_at),
                track_opens=body.tracking,
                track_clicks=body.tracking,
                is_rest=True,
            ),
        )

    def _read_item(self, body: BatchBody, data: Any) -> Outgoing:
        item = validate(BatchItemBody, data)
        sender = item.sender or body.sender
        if sender is None:
            raise invalid("from", "from: it is required, in the email or for the whole batch")
        return Outgoing(
            **_shared(item),
            sender=sender,
            subject=item.subject or body.subject,
            headers={},
            template_id=body.template_id if item.html is None and item.text is None else None,
            variables={**(body.variables or {}), **(item.variables or {})},
            options=Options(tags=_tags(item.tags), is_rest=True),
        )

    def _read_marketing(self, body: MarketingBody) -> Outgoing:
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
                scheduled_at=self._read_schedule(body.scheduled_at),
                list_id=body.list_id,
                unsubscribe_url=body.unsubscribe_url,
                is_rest=True,
            ),
        )

    def _read_schedule(self, text: str | None) -> datetime | None:
        if not text:
            return None
        now = self._clock.now()
        try:
            moment = parse_scheduled_at(text, now)
        except ScheduleError as error:
            raise invalid("scheduled_at", f"scheduled_at: {error}") from None
        return moment if moment > now else None

    async def _prepare(
        self, key: ApiKey, request: Request, outgoing: Outgoing, *, message_id: MessageId | None = None
    ) -> Prepared | Refusal:
        """The message of a request, ready to be committed. Raises `Refused`."""
        outgoing = await self._render(key, outgoing)
        if not outgoing.subject:
            raise invalid("subject", "subject: it is required")
        if outgoing.html is None and outgoing.text is None:
            raise invalid("html", "html: give html or text, or both")
        attachments = await _read_attachments(outgoing.attachments)
        what = Composition(
            author=outgoing.sender,
            to=tuple(outgoing.to),
            cc=tuple(outgoing.cc),
            reply_to=tuple(outgoing.reply_to),
            subject=outgoing.subject,
            html=outgoing.html,
            text=outgoing.text,
            headers=tuple(outgoing.headers.items()),
            attachments=attachments,
        )
        try:
            content = await _compose(what, self._rand.secret(BOUNDARY_LENGTH))
        except MalformedMessage as error:
            raise Refused(Refusal(RefusalKey.VALIDATION_ERROR, error.reason), details={"field": error.field}) from None
        if len(content) > self._max_size:
            raise Refused(Refusal(RefusalKey.MESSAGE_TOO_BIG), details={"limit": self._max_size})
        submission = Submission(
            key=key,
            reverse_path=outgoing.sender.address,
            recipients=_recipients((*outgoing.to, *outgoing.cc, *outgoing.bcc)),
            content=content,
            is_8bit=not content.isascii(),
            origin=_origin(request),
            options=outgoing.options,
        )
        return await self._intake.prepare(submission, message_id=message_id)

    async def _render(self, key: ApiKey, outgoing: Outgoing) -> Outgoing:
        """With a template's subject and bodies in place of its own."""
        if outgoing.template_id is None:
            return outgoing
        number = parse_id(outgoing.template_id, TEMPLATE_PREFIX)
        if number is None:
            raise invalid("template_id", "template_id: there is no such template")
        is_large = sum(len(each.content) for each in outgoing.attachments) > offload.LARGE
        try:
            rendered = await self._templates.render(
                key.account_id, TemplateId(number), outgoing.variables, mode=key.mode, is_large=is_large
            )
        except NotForLiveMail as error:
            raise invalid("template_id", f"template_id: {error}") from None
        except NotFound:
            raise invalid("template_id", "template_id: there is no such template") from None
        except TemplateError as error:
            raise invalid("variables", f"variables: {error}") from None
        return replace(
            outgoing,
            subject=outgoing.subject or rendered.subject,
            html=rendered.html,
            text=rendered.text,
            options=replace(outgoing.options, template_id=TemplateId(number)),
        )

    # Changing and cancelling.

    async def amend(self, call: Call[AmendBody, None]) -> Response:
        """`PATCH /v1/emails/:id`: makes a scheduled message anew from what it was made from and what changes."""
        await reapply(lambda: self._amend(call))
        return await show_email(self._store, call, self._answers)

    async def _amend(self, call: Call[Any, Any]) -> None:
        summary = await find_email(self._store, call)
        message = summary.message
        draft = await self._store.read_draft(message.id)
        if draft is None or message.scheduled_at is None:
            raise Refused(Refusal(RefusalKey.CONFLICT, _TOO_LATE))
        await call.room.make(len(call.raw) + len(draft))
        changes = call.body.model_dump(exclude_none=True)
        data = {**json.loads(draft), **changes}
        if "scheduled_at" not in changes:
            data["scheduled_at"] = timestamp(message.scheduled_at)
        is_marketing = message.type is MessageType.MARKETING
        outgoing = self._read_marketing(validate(MarketingBody, data)) if is_marketing else self._read_send(validate(SendBody, data))
        if changes.keys() & {"html", "text"}:
            outgoing = replace(outgoing, template_id=None)
        options = replace(outgoing.options, draft=encode(data), scheduled_at=outgoing.options.scheduled_at or self._clock.now())
        prepared = await self._prepare(call.key, call.request, replace(outgoing, options=options), message_id=message.id)
        if isinstance(prepared, Refusal):
            raise Refused(prepared)
        try:
            refusal = await self._intake.amend(prepared, made_from=draft)
        except NotAllowed:
            raise Refused(Refusal(RefusalKey.CONFLICT, _TOO_LATE)) from None
        if refusal is not None:
            raise Refused(refusal)

    async def cancel(self, call: Call[None, None]) -> Json:
        """`POST /v1/emails/:id/cancel`. Of two that race, the worker that begins and the caller who cancels, exactly one wins."""
        number = parse_id(call.params["id"], MESSAGE_PREFIX)
        if number is None:
            raise not_found("Email")
        summary = await find_email(self._store, call)
        answer = {"id": format_id(MESSAGE_PREFIX, number), "status": "cancelled"}
        status = derive_status(summary.states, has_attempts=summary.has_attempts)
        if status is MessageStatus.CANCELLED:
            return answer
        try:
            await self._store.cancel_message(call.key.account_id, MessageId(number), self._clock.now(), self._make_event)
        except NotAllowed:
            raise Refused(Refusal(RefusalKey.CONFLICT, _SENT)) from None
        return answer

    def _make_event(self, event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self._ids.next()), type=event_type, metadata=metadata)


def _shared(body: Content) -> dict[str, Any]:
    return {
        "to": body.to,
        "cc": body.cc or (),
        "bcc": body.bcc or (),
        "reply_to": body.reply_to or (),
        "html": body.html,
        "text": body.text,
        "attachments": body.attachments or (),
    }


def _tags(tags: Sequence[Tag] | None) -> tuple[tuple[str, str], ...]:
    return tuple((tag.name, tag.value) for tag in tags or ())


def _recipients(mailboxes: Sequence[Mailbox]) -> tuple[Recipient, ...]:
    """The envelope: each address once."""
    found = {mailbox.address: Recipient(mailbox.address, mailbox.domain, is_ascii=mailbox.is_ascii) for mailbox in mailboxes}
    return tuple(found.values())


def _origin(request: Request) -> Origin:
    client = request.client
    return Origin(hello="api", address=client.host if client else "unknown", tls=None, is_smtputf8=False, is_http=True)


async def _read_attachments(bodies: Sequence[AttachmentBody]) -> tuple[Attachment, ...]:
    return await offload.compute(sum(len(body.content) for body in bodies), _decode_attachments, bodies)


def _decode_attachments(bodies: Sequence[AttachmentBody]) -> tuple[Attachment, ...]:
    found = []
    for index, body in enumerate(bodies):
        try:
            found.append(body.read())
        except ValueError as error:
            field = f"attachments.{index}.content"
            raise invalid(field, f"{field}: {error}") from None
    return tuple(found)


async def _compose(what: Composition, boundary: str) -> bytes:
    size = len(what.html or "") + len(what.text or "") + sum(len(each.content) for each in what.attachments)
    return await offload.compute(size, compose, what, boundary=boundary)


def _status(new: NewMessage) -> EmailStatus:
    states = Counter(delivery.state for delivery in new.deliveries)
    is_complained = any(event.type is EventType.COMPLAINED for delivery in new.deliveries for event in delivery.events)
    return derive_status(states, has_attempts=False, is_complained=is_complained).value


def _send_result(outgoing: Outgoing, new: NewMessage) -> Json:
    message = new.message
    return {
        "id": format_id(MESSAGE_PREFIX, message.id),
        "from": message.author,
        "to": [_shown(mailbox) for mailbox in outgoing.to],
        "subject": message.subject,
        "status": _status(new),
        "created_at": timestamp(message.created_at),
    }


def _shown(mailbox: Mailbox) -> str:
    return f"{mailbox.name} <{mailbox.address}>" if mailbox.name else mailbox.address


def _idempotency_key(request: Request) -> str | None:
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise invalid("Idempotency-Key", "Idempotency-Key is 1 to 256 printable ASCII characters, given once")
    return values[0]


def _fingerprint(call: Call[Any, Any]) -> bytes:
    """What tells one request from another under the same key: where it went and what it asked for, however its JSON is laid out. A large
    body counts as it came: to lay it out anew would hold up everybody else.
    """
    body = call.raw
    if len(body) <= SMALL_BODY:
        body = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")
    where = f"{call.key.mode} {call.request.scope['path'].rstrip('/')} "
    return hashlib.sha256(where.encode("utf-8", "surrogatepass") + body).digest()


def _in_batch(refused: Refused, index: int) -> Refused:
    """The refusal of one of a batch, as that of the whole."""
    details = dict(refused.details or {})
    field = f"emails.{index}" + (f".{details['field']}" if details.get("field") else "")
    return Refused(refused.refusal, details={**details, "field": field, "index": index}, headers=refused.headers)
