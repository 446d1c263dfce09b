"""The Test Inbox: what test keys sent, as it would have arrived."""

from typing import Final

from starlette.responses import Response

from sendryd.api.framework.answers import Page, page
from sendryd.api.framework.bodies import PageQuery
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import encode_large, not_found, parse_cursor
from sendryd.api.test_emails.schema import TestEmail, WaitQuery, WholeTestEmail, test_email_json, whole_test_email_json
from sendryd.intake.personal import Personaliser
from sendryd.message.parse import summarise
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.ids import MESSAGE_PREFIX, TEST_MESSAGE_PREFIX, MessageId
from sendryd.model.message import Message
from sendryd.policy.permissions import may_see_captured
from sendryd.runtime import offload
from sendryd.runtime.answers import Answers
from sendryd.runtime.clock import Clock
from sendryd.store.base import MessageFilter, QueueFilter, Store

GROUP: Final = Group(
    "Test Emails",
    "The Test Inbox: emails that test keys sent, as recipients would have received them.",
    {"test-emails": public_id("a captured email", TEST_MESSAGE_PREFIX, "Test email")},
)
POLL_INTERVAL: Final = 0.1  # seconds between looks: a look is a few rows of a small index, and a test suite wants to go on


class TestInboxHandlers:
    """The operations on the Test Inbox."""

    def __init__(self, store: Store, personaliser: Personaliser, clock: Clock, answers: Answers) -> None:
        self._store = store
        self._personaliser = personaliser
        self._clock = clock
        self._answers = answers

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(GROUP, "GET /v1/test-emails", self.list),
            Operation(
                GROUP,
                "GET /v1/test-emails/wait",
                self.wait,
                answers=WholeTestEmail,
                is_timed=False,
                missing="No matching email arrived in time.",
            ),
            Operation(GROUP, "GET /v1/test-emails/{id}", self.get, answers=WholeTestEmail),
        ]

    async def list(self, call: Call[None, PageQuery]) -> Page[TestEmail]:
        """List captured test emails, newest first.

        A test key sees the mail that it sent; a live key, the mail of all test keys.
        """
        before = parse_cursor(call.query.cursor, MessageId, TEST_MESSAGE_PREFIX, MESSAGE_PREFIX)
        found = await self._store.list_messages(call.key.account_id, _inbox(call.key), limit=call.query.limit, before=before)
        return page([test_email_json(summary.message) for summary in found.items], has_more=found.has_more)

    async def get(self, call: Call[None, None]) -> Response:
        """Get a captured test email.

        Take its id as `te_…` or as `em_…`. The content is the first recipient's copy.
        """
        key = call.key
        message_id = MessageId(call.read_id(TEST_MESSAGE_PREFIX, MESSAGE_PREFIX))
        summary = await self._store.get_message(key.account_id, message_id)
        if summary is None or not may_see_captured(key, summary.message):
            raise not_found("Test email")
        return await self._show(summary.message)

    async def wait(self, call: Call[None, WaitQuery]) -> Response:
        """Wait for a captured test email.

        The answer is the newest email that matches, or the first to arrive within `timeout`.
        """
        query = call.query
        which = _inbox(call.key, recipient=query.to, subject=query.subject)
        deadline = self._clock.monotonic() + query.timeout
        while True:
            found = await self._store.list_messages(call.key.account_id, which, limit=1)
            if found.items:
                return await self._show(found.items[0].message)
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise not_found("A matching test email was")
            await self._clock.sleep(POLL_INTERVAL)

    async def _show(self, message: Message) -> Response:
        """The message as its first recipient would have got it."""
        deliveries = await self._store.list_queue(QueueFilter(message_id=message.id)) if message.is_personal else []

        def make(content: bytes) -> bytes:
            if deliveries:
                first = deliveries[-1]
                content = self._personaliser.copy_for(message, first.id, first.forward_path, content)
            return encode_large(whole_test_email_json(message, summarise(content)))

        async with self._answers.room(message.size):
            body = await offload.in_thread(make, await self._store.read_content(message.id))
            return await self._answers.make(body, owner=message.account_id, media_type="application/json")


def _inbox(key: ApiKey, *, recipient: str | None = None, subject: str | None = None) -> MessageFilter:
    own = key.id if key.mode is KeyMode.TEST else None
    return MessageFilter(mode=KeyMode.TEST, api_key_id=own, recipient=recipient, subject=subject, has_gone=True)
