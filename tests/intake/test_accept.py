"""The single door."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from sendryd.intake.accept import Made
from sendryd.intake.assemble import Prepared
from sendryd.intake.idempotency import Answered
from sendryd.intake.quota import Quota, Quotas
from sendryd.intake.submission import Receipt
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, EventId, MessageId, SuppressionId, parse_id
from sendryd.model.message import Message, MessageClass
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.store.base import Claim, Engagement, EventFilter, Lease, NewEvent, NewSuppression, QueueFilter
from sendryd.store.errors import Conflict, StoreError, StoreFull, StoreUnavailable
from sendryd.testing.cases import cases
from sendryd.testing.clock import ManualClock
from sendryd.testing.door import ACCOUNT, AUTHOR, CONTENT, TEST_SECRET, Door, FailingStore
from sendryd.testing.samples import OWNER, Samples


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
        (b"Subject: s", b"Sender: team@example.test\r\n" * 21 + b"Subject: s", RefusalKey.MALFORMED_MESSAGE),
        (b"Subject: s", b"X: " + b"y\r\n " * 20_000 + b"\r\nSender: boss@other.test\r\nSubject: s", RefusalKey.DOMAIN_NOT_VERIFIED),
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


async def test_others_have_their_turn_while_a_large_header_block_is_read() -> None:
    door = await Door().open()
    words = b"=?utf-8?q?a?=\r\n " * 60_000
    large = asyncio.create_task(door.intake.accept(door.submission(CONTENT.replace(b"Subject: s", b"Subject: " + words + b"s"))))
    await asyncio.sleep(0)  # it has begun
    assert isinstance(await door.intake.accept(door.submission()), Receipt)
    assert not large.done()
    summary = await door.store.get_message(ACCOUNT, number(await large))
    assert summary is not None
    assert summary.message.subject == "a" * 60_000 + " s"


class RecordingHandoff:
    """A delivery engine that only notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def reserve(self, domains: Sequence[str], size: int, **others: object) -> Lease | None:
        self.notes.append(f"reserve {','.join(domains)}")
        return Lease(token=7, owner=OWNER) if "full.test" not in domains else None

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


async def commit(door: Door, prepared: Sequence[Prepared]) -> Answered | Refusal:
    async def make() -> Made:
        return prepared, b"done"

    return await door.intake.send_once(None, make)


async def test_what_is_prepared_holds_no_room_until_it_is_committed() -> None:
    handoff = RecordingHandoff()
    door = await Door(handoff=handoff).open()
    prepared = [await door.intake.prepare(door.submission(recipients=(f"a@{name}.test",))) for name in ("one", "two")]
    ready = [each for each in prepared if isinstance(each, Prepared)]
    assert (len(ready), handoff.notes) == (2, [])
    assert await commit(door, ready) == Answered(b"done")
    assert handoff.notes == ["reserve one.test", "reserve two.test", "offer one.test True", "offer two.test True"]


async def test_a_batch_that_breaks_off_gives_back_what_it_reserved() -> None:
    class BreakingHandoff(RecordingHandoff):
        def reserve(self, domains: Sequence[str], size: int, **others: object) -> Lease | None:
            if "two.test" in domains:
                raise RuntimeError("out of order")
            return super().reserve(domains, size, **others)

    handoff = BreakingHandoff()
    door = await Door(handoff=handoff).open()
    prepared = [await door.intake.prepare(door.submission(recipients=(f"a@{name}.test",))) for name in ("one", "two")]
    with pytest.raises(RuntimeError):
        await commit(door, [each for each in prepared if isinstance(each, Prepared)])
    assert handoff.notes == ["reserve one.test", "cancel"]
    assert await door.store.list_queue(QueueFilter()) == []


async def test_test_mail_is_never_handed_over() -> None:
    handoff = RecordingHandoff()
    door = await Door(handoff=handoff).open()
    await door.intake.accept(door.submission(secret=TEST_SECRET))
    assert handoff.notes == []


def with_header(*lines: str) -> bytes:
    return CONTENT.replace(b"Subject: s", "\r\n".join(lines).encode() + b"\r\nSubject: s")


async def stored(door: Door, receipt: object) -> Message:
    summary = await door.store.get_message(ACCOUNT, number(receipt))
    assert summary is not None
    return summary.message


async def test_control_headers_are_obeyed_and_taken_out() -> None:
    door = await Door().open()
    content = with_header(
        "X-Sendry-Tag: campaign=spring", "X-Sendry-Tag: v=1", "X-Sendry-Track: opens, clicks", "X-Sendry-Scheduled-At: in 2 hours"
    )
    receipt = await door.intake.accept(door.submission(content))
    message = await stored(door, receipt)
    assert message.tags == (("campaign", "spring"), ("v", "1"))
    assert (message.track_opens, message.track_clicks) == (True, True)
    assert message.scheduled_at is not None
    assert timedelta(hours=1, minutes=59) < message.scheduled_at - message.created_at < timedelta(hours=2, minutes=1)
    assert b"X-Sendry" not in await door.store.read_content(number(receipt))
    (waiting,) = await door.store.list_queue(QueueFilter())
    assert waiting.due_at == message.scheduled_at


@pytest.mark.parametrize(
    ("lines", "priority"),
    [
        (["X-Sendry-Priority: otp"], MessageClass.OTP),
        (["X-Sendry-Priority: bulk"], MessageClass.BULK),
        ([], MessageClass.TRANSACTIONAL),
        (["X-Sendry-Unsubscribe-Url: https://example.test/off"], MessageClass.BULK),
        (["X-Sendry-Unsubscribe-Url: https://example.test/off", "X-Sendry-Priority: transactional"], MessageClass.TRANSACTIONAL),
    ],
)
async def test_the_priority_is_that_of_the_header_or_of_the_type(lines: list[str], priority: MessageClass) -> None:
    door = await Door().open()
    receipt = await door.intake.accept(door.submission(with_header(*lines) if lines else CONTENT))
    (claim,) = await door.store.claim_deliveries(now=door.clock.now(), lease=Samples().lease(), limit=9, busy=frozenset(), per_domain=9)
    assert (claim.message.id, claim.priority) == (number(receipt), priority)
    assert b"X-Sendry" not in await door.store.read_content(number(receipt))


@cases(
    ("line", "named"),
    [
        ("X-Sendry-Priority: urgent", "X-Sendry-Priority (write otp, transactional or bulk)"),
        ("X-Sendry-Track: sometimes", "X-Sendry-Track"),
        ("X-Sendry-Tag: no value", "X-Sendry-Tag"),
        ("X-Sendry-Scheduled-At: whenever", "X-Sendry-Scheduled-At"),
        ("X-Sendry-Scheduled-At: 2020-01-01T00:00:00Z", "X-Sendry-Scheduled-At"),
        ("X-Sendry-Template-Id: tmpl_nothing", "X-Sendry-Template-Id"),
        ('X-Sendry-Variables: {"a":1}', "X-Sendry-Variables"),
        ("X-Sendry-Topic-Id: top_1", "X-Sendry-Topic-Id"),
        ("X-Sendry-Unsubscribe-Url: javascript:alert(1)", "X-Sendry-Unsubscribe-Url"),
        ("X-Sendry-Idempotency-Key: " + "k" * 257, "X-Sendry-Idempotency-Key"),
        ("X-Sendry-Anything: x", "X-Sendry-Anything"),
        ("X-Sendry-Track: opens\r\nX-Sendry-Track: none", "X-Sendry-Track"),
    ],
)
async def test_a_control_header_that_cannot_be_obeyed_is_refused_by_name(line: str, named: str) -> None:
    door = await Door().open()
    refusal = await door.intake.accept(door.submission(with_header(line)))
    assert isinstance(refusal, Refusal)
    assert refusal.key is RefusalKey.CONTROL_HEADER
    assert named in refusal.sentence
    assert str(refusal.smtp).startswith("550 5.6.0")


async def test_a_repeat_under_the_same_idempotency_key_answers_the_first_receipt_and_sends_nothing() -> None:
    door = await Door().open()
    content = with_header("X-Sendry-Idempotency-Key: order-1")
    receipts = await asyncio.gather(*(door.intake.accept(door.submission(content)) for _ in range(20)))
    assert len({number(receipt) for receipt in receipts}) == 1
    assert (await door.store.count_queue())[DeliveryState.QUEUED] == 1
    other = await door.intake.accept(door.submission(content, recipients=("other@example.org",)))
    assert isinstance(other, Refusal)
    assert other.key is RefusalKey.IDEMPOTENCY_CONFLICT
    tried_before = await door.intake.accept(door.submission(content, secret=TEST_SECRET))
    assert isinstance(tried_before, Refusal)  # a message that was only tried out must not stand for the real one
    assert tried_before.key is RefusalKey.IDEMPOTENCY_CONFLICT


async def test_a_test_key_cannot_use_up_an_idempotency_key_of_live_mail() -> None:
    door = await Door().open()
    content = with_header("X-Sendry-Idempotency-Key: order-1")
    tried = await door.intake.accept(door.submission(content, secret=TEST_SECRET))
    again = await door.intake.accept(door.submission(content, secret=TEST_SECRET))
    assert number(tried) == number(again)
    sent = await door.intake.accept(door.submission(content))
    assert number(sent) != number(tried)
    assert (await door.store.count_queue())[DeliveryState.QUEUED] == 1


async def test_a_repeat_takes_no_room() -> None:
    handoff = RecordingHandoff()
    door = await Door(handoff=handoff).open()
    content = with_header("X-Sendry-Idempotency-Key: order-1")
    await door.intake.accept(door.submission(content))
    await door.intake.accept(door.submission(content))
    await door.intake.accept(door.submission(content, recipients=("other@example.org",)))
    assert handoff.notes == ["reserve example.org", "offer example.org True"]


async def test_a_suppressed_recipient_gets_nothing_and_an_event_while_the_others_get_theirs() -> None:
    door = await Door().open()
    first = number(await door.intake.accept(door.submission(recipients=("gone@example.org",))))
    (delivery,) = await door.store.list_queue(QueueFilter(message_id=first))
    suppression = NewSuppression(id=SuppressionId(1), email="gone@example.org", reason=SuppressionReason.MANUAL)
    event = NewEvent(id=EventId(1), type=EventType.COMPLAINED)
    await door.store.record_engagements(
        [Engagement(delivery_id=delivery.id, event=event, happened_at=door.clock.now(), suppression=suppression)]
    )
    receipt = await door.intake.accept(door.submission(recipients=("Gone@example.org", "here@example.org")))
    summary = await door.store.get_message(ACCOUNT, number(receipt))
    assert summary is not None
    assert summary.states == {DeliveryState.SUPPRESSED: 1, DeliveryState.QUEUED: 1}
    events = await door.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, type=EventType.SUPPRESSED), limit=10)
    assert [event.recipient for event in events.items] == ["Gone@example.org"]


@pytest.mark.parametrize(
    ("recipient", "words"),
    [
        ("delivered@sendryd.test", "queued sent delivered"),
        ("bounced+1@sendryd.test", "queued bounced"),
        ("deferred@sendryd.test", "queued deferred sent delivered"),
        ("complained@sendryd.test", "queued sent delivered complained"),
        ("clicked@SENDRYD.test", "queued sent delivered opened clicked"),
        ("suppressed@sendryd.test", "queued suppressed"),
        ("bounced@elsewhere.test", "queued sent delivered"),
    ],
)
async def test_addresses_of_the_test_domain_play_out_their_events(recipient: str, words: str) -> None:
    door = await Door().open()
    await door.intake.accept(door.submission(secret=TEST_SECRET, recipients=(recipient,)))
    events = await door.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.TEST), limit=10)
    assert " ".join(event.type.value for event in reversed(events.items)) == words


async def test_the_test_domain_means_nothing_to_a_live_key() -> None:
    door = await Door().open()
    await door.intake.accept(door.submission(recipients=("bounced@sendryd.test",)))
    assert (await door.store.count_queue())[DeliveryState.QUEUED] == 1


async def test_a_test_keys_scheduled_mail_waits_where_no_engine_finds_it() -> None:
    door = await Door().open()
    content = with_header("X-Sendry-Scheduled-At: in 1 hour")
    receipt = await door.intake.accept(door.submission(content, secret=TEST_SECRET))
    summary = await door.store.get_message(ACCOUNT, number(receipt))
    assert summary is not None
    assert summary.states == {DeliveryState.QUEUED: 1}
    assert await door.store.due_at() is None


async def test_a_quota_ends_with_its_time() -> None:
    door = await Door().open()
    clock = ManualClock()
    quotas = Quotas(door.store, clock, of_key=Quota(2, timedelta(hours=1)), of_account=None)
    key = door.keys[TEST_SECRET]
    message = Samples().message(account_id=key.account_id, api_key_id=key.id).message
    for _ in range(2):
        assert await quotas.take([message]) is None
    refusal = await quotas.take([message])
    assert refusal == Refusal(RefusalKey.QUOTA_REACHED, "this key")
    assert refusal.http_status == 429
    assert 0 < quotas.retry_after(refusal) <= 3600
    clock.advance(timedelta(hours=1))
    assert await quotas.take([message]) is None


async def test_what_is_not_accepted_after_all_does_not_count() -> None:
    door = await Door().open()
    quotas = Quotas(door.store, door.clock, of_key=None, of_account=Quota(3, timedelta(days=1)))
    key = door.keys[TEST_SECRET]
    message = Samples().message(account_id=key.account_id, api_key_id=key.id).message
    taken = await asyncio.gather(*(quotas.take([message]) for _ in range(9)))
    assert taken.count(None) == 3
    quotas.give_back([message])
    assert await quotas.take([message, message]) == Refusal(RefusalKey.QUOTA_REACHED, "this account")
    assert await quotas.take([message]) is None
    assert await quotas.take([message]) == Refusal(RefusalKey.QUOTA_REACHED, "this account")


async def test_retry_after_is_that_of_the_exhausted_quota() -> None:
    door = await Door().open()
    quotas = Quotas(door.store, door.clock, of_key=Quota(9, timedelta(minutes=1)), of_account=Quota(1, timedelta(days=1)))
    key = door.keys[TEST_SECRET]
    message = Samples().message(account_id=key.account_id, api_key_id=key.id).message
    assert await quotas.take([message]) is None
    refusal = await quotas.take([message])
    assert refusal is not None
    assert quotas.retry_after(refusal) > 60
