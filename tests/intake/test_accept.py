"""The single door."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from sendryd.intake.submission import Receipt
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import MESSAGE_PREFIX, MessageId, parse_id
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.store.base import Claim, Lease, NewMessage, QueueFilter
from sendryd.store.errors import Conflict, StoreError, StoreFull, StoreUnavailable
from sendryd.testing.door import ACCOUNT, AUTHOR, CONTENT, TEST_SECRET, Door


def number(receipt: object) -> MessageId:
    assert isinstance(receipt, Receipt)
    parsed = parse_id(receipt.message_id, MESSAGE_PREFIX)
    assert parsed is not None
    return MessageId(parsed)


async def test_a_message_is_stored_with_what_is_added_and_nothing_else() -> None:
    door = await Door().open()
    message_id = number(await door.intake.accept(door.submission()))
    content = await door.store.read_content(message_id)
    head, tail = content[: -len(CONTENT)], content[-len(CONTENT) :]
    assert tail == CONTENT
    assert head.startswith(b"Received: from client.test ([192.0.2.7])\r\n\tby relay.test with ESMTPSA id em_")
    assert b"\r\nMessage-ID: <em_" in head
    assert b"\r\nDate: " in head
    summary = await door.store.get_message(ACCOUNT, message_id)
    assert summary is not None
    assert (summary.message.subject, summary.message.to, summary.states) == ("s", ("user@example.org",), {DeliveryState.QUEUED: 1})
    assert await door.wakeup.wait(0.1)


async def test_the_clients_address_can_be_left_out() -> None:
    door = await Door(hide_client=True).open()
    content = await door.store.read_content(number(await door.intake.accept(door.submission())))
    assert b"192.0.2.7" not in content
    assert b"client.test" not in content


async def test_test_mail_is_captured_at_once() -> None:
    door = await Door().open()
    foreign = CONTENT.replace(AUTHOR.encode(), b"ceo@bank.test")
    message_id = number(await door.intake.accept(door.submission(foreign, secret=TEST_SECRET)))
    summary = await door.store.get_message(ACCOUNT, message_id)
    assert summary is not None
    assert (summary.message.mode, summary.states) == (KeyMode.TEST, {DeliveryState.DELIVERED: 1})
    assert await door.store.list_queue(QueueFilter()) == []


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        (b"From: hello@example.test", b"From: hello@other.test", RefusalKey.DOMAIN_NOT_VERIFIED),
        (b"From: hello@example.test", b"From: hello@sub.example.test", RefusalKey.DOMAIN_NOT_VERIFIED),
        (b"Subject: s", b"Sender: boss@other.test\r\nSubject: s", RefusalKey.DOMAIN_NOT_VERIFIED),
        (b"Subject: s", b"Resent-From: boss@other.test\r\nSubject: s", RefusalKey.DOMAIN_NOT_VERIFIED),
        (b"Subject: s", b"Sender: not an address\r\nSubject: s", RefusalKey.MALFORMED_MESSAGE),
        (b"From: hello@example.test\r\n", b"", RefusalKey.MALFORMED_MESSAGE),
        (b"Subject: s", b"From: hello@example.test\r\nSubject: s", RefusalKey.MALFORMED_MESSAGE),
        (b"Subject: s", b"X-Sendry-Template-Id: x\r\nSubject: s", RefusalKey.CONTROL_HEADER),
        (b"Subject: s", b"Received: x\r\n" * 51 + b"Subject: s", RefusalKey.TOO_MANY_HOPS),
    ],
)
async def test_what_is_refused_is_not_stored(before: bytes, after: bytes, key: RefusalKey) -> None:
    door = await Door().open()
    result = await door.intake.accept(door.submission(CONTENT.replace(before, after)))
    assert isinstance(result, Refusal)
    assert result.key is key
    assert await door.store.list_queue(QueueFilter()) == []


async def test_an_own_sender_is_fine() -> None:
    door = await Door().open()
    content = CONTENT.replace(b"Subject: s", b"Sender: Team <team@example.test>\r\nSubject: s")
    assert isinstance(await door.intake.accept(door.submission(content)), Receipt)


class FailingStore:
    """Cannot store."""

    def __init__(self, error: StoreError) -> None:
        self.error = error

    async def accept(self, message: NewMessage) -> None:
        raise self.error


class RecordingHandoff:
    """A delivery engine that only notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def reserve(self, domains: Sequence[str], size: int) -> Lease | None:
        self.notes.append(f"reserve {','.join(domains)}")
        return Lease(token=7, until=Door().clock.now() + timedelta(minutes=20)) if "full.test" not in domains else None

    def offer(self, lease: Lease, claims: Sequence[Claim], content: bytes) -> None:
        self.notes.append(f"offer {','.join(claim.domain for claim in claims)} {len(content) > 0}")

    def cancel_reservation(self, lease: Lease) -> None:
        self.notes.append("cancel")


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (StoreFull("x"), RefusalKey.STORAGE_FULL),
        (StoreUnavailable("x"), RefusalKey.TEMPORARILY_UNAVAILABLE),
        (Conflict("x"), RefusalKey.TEMPORARILY_UNAVAILABLE),
    ],
)
async def test_a_store_that_fails_is_no_acceptance(error: StoreError, key: RefusalKey) -> None:
    handoff = RecordingHandoff()
    door = await Door(accept_store=FailingStore(error), handoff=handoff).open()
    assert await door.intake.accept(door.submission()) == Refusal(key)
    assert handoff.notes == ["reserve example.org", "cancel"]


async def test_a_message_is_handed_over_only_once_it_is_stored() -> None:
    handoff = RecordingHandoff()
    door = await Door(handoff=handoff).open()
    message_id = number(await door.intake.accept(door.submission(recipients=("a@one.test", "b@one.test", "c@two.test"))))
    assert handoff.notes == ["reserve one.test,one.test,two.test", "offer one.test,two.test True"]
    summary = await door.store.get_message(ACCOUNT, message_id)
    assert summary is not None
    assert summary.states == {DeliveryState.LEASED: 3}
    await door.intake.accept(door.submission(recipients=("a@full.test",)))
    assert (await door.store.count_queue())[DeliveryState.QUEUED] == 1


async def test_test_mail_is_never_handed_over() -> None:
    handoff = RecordingHandoff()
    door = await Door(handoff=handoff).open()
    await door.intake.accept(door.submission(secret=TEST_SECRET))
    assert handoff.notes == []
