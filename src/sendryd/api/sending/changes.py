"""Changing and cancelling emails that have not begun to be sent."""

import json
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from sendryd.accounts.changes import reapply
from sendryd.api.emails.operations import GROUP, find_email, show_email
from sendryd.api.emails.schema import Email
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.reading import validate
from sendryd.api.framework.requests import Refused, encode
from sendryd.api.sending.composer import Composer
from sendryd.api.sending.operations import DOMAIN_NOT_VERIFIED
from sendryd.api.sending.outgoing import read_marketing, read_send
from sendryd.api.sending.schema import AmendBody, Cancelled, MarketingBody, SendBody, cancelled_json
from sendryd.intake.accept import Intake
from sendryd.model.apikey import Scope
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import EventId
from sendryd.model.message import MessageStatus, MessageType, derive_status
from sendryd.model.moment import timestamp
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.answers import Answers
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import NewEvent, Store
from sendryd.store.errors import NotAllowed

_TOO_LATE: Final = "Only a scheduled email that has not begun to be sent can be changed"
_BY_SMTP: Final = "An email that was scheduled over SMTP cannot be changed; cancel it, and send another one"
_HELD: Final = "The email is held, and cannot be changed; release it first, or cancel it"
_SENT: Final = "The email has begun to be sent, and cannot be cancelled any more"


class ChangeHandlers:
    """The operations that change and cancel scheduled emails."""

    def __init__(
        self, store: Store, intake: Intake, composer: Composer, answers: Answers, *, max_size: int, clock: Clock, ids: IdSource
    ) -> None:
        self._store = store
        self._intake = intake
        self._composer = composer
        self._answers = answers
        self._max_size = max_size
        self._clock = clock
        self._ids = ids

    def operations(self) -> list[Operation]:
        """The declarations."""
        cancel = Operation(
            GROUP, "POST /v1/emails/{id}/cancel", self.cancel, scope=Scope.SENDING_ACCESS, conflict="The email has begun to be sent."
        )
        return [
            Operation(
                GROUP,
                "PATCH /v1/emails/{id}",
                self.amend,
                answers=Email,
                scope=Scope.SENDING_ACCESS,
                max_body=self._max_size,
                is_send=True,
                example={"subject": "A better subject", "scheduled_at": "tomorrow at 9am"},
                conflict="The email is not scheduled, or has begun to be sent.",
                forbidden=DOMAIN_NOT_VERIFIED,
            ),
            cancel,
            cancel.alias("DELETE /v1/emails/{id}"),
        ]

    async def amend(self, call: Call[AmendBody, None]) -> Response:
        """Change a scheduled email.

        A field that is left out keeps its value. The email keeps its id.
        """
        await reapply(lambda: self._amend(call))
        return await show_email(self._store, call, self._answers)

    async def _amend(self, call: Call[AmendBody, None]) -> None:
        found = await find_email(self._store, call)
        source = await self._store.read_source_request(found.message.id)
        # Read after the source, which the commit compares: a send time older than the source would undo another change unnoticed.
        message = (await find_email(self._store, call)).message
        if source is None or message.scheduled_at is None:
            is_by_smtp = message.scheduled_at is not None and DeliveryState.QUEUED in found.states
            raise Refused(Refusal(RefusalKey.CONFLICT, _BY_SMTP if is_by_smtp else _TOO_LATE))
        await call.room.make(len(call.raw) + len(source))
        changes = call.body.model_dump(exclude_none=True)
        data = {**json.loads(source), **changes}
        if not changes.get("scheduled_at"):  # a form sends an empty field as an empty text
            data["scheduled_at"] = timestamp(message.scheduled_at)
        clock = self._clock
        is_marketing = message.type is MessageType.MARKETING
        outgoing = read_marketing(validate(MarketingBody, data), clock) if is_marketing else read_send(validate(SendBody, data), clock)
        options = replace(
            outgoing.options,
            source_request=encode(data),
            scheduled_at=outgoing.options.scheduled_at or clock.now(),
            template_id=None if changes.keys() & {"html", "text"} else message.template_id,
        )
        prepared = await self._composer.prepare(call.key, call.request, replace(outgoing, options=options), message_id=message.id)
        if isinstance(prepared, Refusal):
            raise Refused(prepared)
        try:
            refusal = await self._intake.amend(prepared, made_from=source)
        except NotAllowed:
            is_held = DeliveryState.HELD in (await find_email(self._store, call)).states
            raise Refused(Refusal(RefusalKey.CONFLICT, _HELD if is_held else _TOO_LATE)) from None
        if refusal is not None:
            raise Refused(refusal)

    async def cancel(self, call: Call[None, None]) -> Cancelled:
        """Cancel an email that has not begun to be sent.

        Cancelling an email twice is not an error.
        """
        summary = await find_email(self._store, call)
        message_id = summary.message.id
        status = derive_status(summary.states, has_attempts=summary.has_attempts)
        if status is MessageStatus.CANCELLED:
            return cancelled_json(message_id)
        try:
            await self._store.cancel_message(call.key.account_id, message_id, self._clock.now(), self._make_event)
        except NotAllowed:
            raise Refused(Refusal(RefusalKey.CONFLICT, _SENT)) from None
        return cancelled_json(message_id)

    def _make_event(self, event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self._ids.next()), type=event_type, metadata=metadata)
