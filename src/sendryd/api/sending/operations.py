"""Sending: one message, a batch, marketing.

A request becomes a message here, and goes through the same door as one that came over SMTP.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sendryd.api.emails.operations import GROUP
from sendryd.api.framework.operation import SMALL_BODY, Call, Handler, Operation
from sendryd.api.framework.requests import Refused, encode, invalid, respond
from sendryd.api.sending.composer import Composer
from sendryd.api.sending.outgoing import Outgoing, read_item, read_marketing, read_send
from sendryd.api.sending.schema import (
    BatchBody,
    BatchError,
    BatchResult,
    MarketingBody,
    SendBody,
    SendResult,
    batch_item_json,
    send_result_json,
)
from sendryd.intake.accept import Intake, Made
from sendryd.intake.assemble import Prepared
from sendryd.intake.idempotency import Asked, answer_name
from sendryd.model.apikey import Scope
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock

YIELD_EVERY: Final = 10  # messages of a batch that are made before other requests get their turn
DOMAIN_NOT_VERIFIED: Final = "The domain of `from` is not verified, and the key is a live one."
_KEY_CONFLICT: Final = "The `Idempotency-Key` was used for another request, or the same request is still being answered."
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?", re.ASCII)
_SEND_EXAMPLE: Final[Mapping[str, object]] = {
    "from": "Acme <hello@example.com>",
    "to": ["Ann <ann@example.org>"],
    "subject": "Your order",
    "html": "<p>It is on its way.</p>",
    "text": "It is on its way.",
    "tags": [{"name": "kind", "value": "order"}],
}
_BATCH_EXAMPLE: Final[Mapping[str, object]] = {
    "from": "hello@example.com",
    "subject": "Your order",
    "emails": [{"to": "ann@example.org", "text": "It is on its way."}, {"to": "bob@example.org", "text": "It is packed."}],
}
_MARKETING_EXAMPLE: Final[Mapping[str, object]] = {
    "from": "Acme <news@example.com>",
    "to": "ann@example.org",
    "subject": "This month",
    "html": "<p>What is new.</p>",
    "unsubscribe_url": "https://example.com/unsubscribe",
    "list_id": "monthly",
}


class SendHandlers:
    """The operations that send."""

    def __init__(self, intake: Intake, composer: Composer, clock: Clock, *, max_size: int) -> None:
        self._intake = intake
        self._composer = composer
        self._clock = clock
        self._max_size = max_size

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            self._declare("POST /v1/emails", self.send, SendResult, _SEND_EXAMPLE),
            self._declare("POST /v1/emails/batch", self.send_batch, BatchResult, _BATCH_EXAMPLE),
            self._declare("POST /v1/emails/marketing", self.send_marketing, SendResult, _MARKETING_EXAMPLE),
        ]

    def _declare(self, route: str, handler: Handler, answers: type, example: Mapping[str, object]) -> Operation:
        return Operation(
            GROUP,
            route,
            handler,
            answers=answers,
            scope=Scope.SENDING_ACCESS,
            max_body=self._max_size,
            is_send=True,
            example=example,
            conflict=_KEY_CONFLICT,
            forbidden=DOMAIN_NOT_VERIFIED,
            is_idempotent=True,
        )

    async def send(self, call: Call[SendBody, None]) -> Response:
        """Send an email, or schedule it.

        The answer comes after the email is stored durably; delivery follows in the background.
        """
        outgoing = read_send(call.body, self._clock)
        return await self._send_one(call, outgoing)

    async def send_marketing(self, call: Call[MarketingBody, None]) -> Response:
        """Send a marketing email with one-click unsubscribe.

        The email carries `List-Unsubscribe`; recipients who have unsubscribed do not get it.
        """
        outgoing = read_marketing(call.body, self._clock)
        return await self._send_one(call, outgoing)

    async def _send_one(self, call: Call[SendBody | MarketingBody, None], outgoing: Outgoing) -> Response:
        if outgoing.options.scheduled_at is not None:
            outgoing = replace(outgoing, options=replace(outgoing.options, source_request=call.raw))

        async def make() -> Made | Refusal:
            prepared = await self._composer.prepare(call.key, call.request, outgoing)
            return prepared if isinstance(prepared, Refusal) else ([prepared], encode(send_result_json(prepared.new, outgoing.to)))

        return await self._once(call, make)

    async def send_batch(self, call: Call[BatchBody, None]) -> Response:
        """Send up to 100 emails in one request.

        The server stores them in one transaction. With `batch_validation` `strict`, one invalid email refuses all; with `permissive`, the
        valid ones are sent and `errors` lists the others.
        """
        body = call.body

        async def make() -> Made:
            prepared: list[Prepared] = []
            errors: list[BatchError] = []
            for index, item in enumerate(body.emails):
                made = await self._try_item(call, item)
                if isinstance(made, Prepared):
                    prepared.append(made)
                elif body.batch_validation == "strict":
                    raise _in_batch(made, index)
                else:
                    errors.append({"index": index, "error": str(made)})
                if index % YIELD_EVERY == YIELD_EVERY - 1:
                    await asyncio.sleep(0)  # noqa: TID251  a turn for others
            answer: BatchResult = {"data": [batch_item_json(each.new) for each in prepared]}
            if body.batch_validation == "permissive":
                answer["errors"] = errors
            return prepared, encode(answer)

        return await self._once(call, make)

    async def _try_item(self, call: Call[BatchBody, None], item: object) -> Prepared | Refused:
        try:
            made = await self._composer.prepare(call.key, call.request, read_item(call.body, item))
        except Refused as error:
            return error
        return self._refused(made) if isinstance(made, Refusal) else made

    async def _once(self, call: Call[object, None], make: Callable[[], Awaitable[Made | Refusal]]) -> Response:
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


def _idempotency_key(request: Request) -> str | None:
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise invalid("Idempotency-Key", "Idempotency-Key is 1 to 256 printable ASCII characters, given once")
    return values[0]


def _fingerprint(call: Call[object, None]) -> bytes:
    """What tells one request from another under the same key: where it went and what it asked for, however its JSON is laid out. A large
    body counts as it came: parsing it for the comparison would delay all other requests.
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
