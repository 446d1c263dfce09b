"""One bad row is one bad row: it is set aside, told of once and counted; the others go on."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, AccountId, TemplateId, TemplateVersionId, WebhookId, format_id
from sendryd.model.template import Template, TemplateContent
from sendryd.model.webhook import NotificationState
from sendryd.store.base import EventFilter, MessageFilter, NewMessage, Outcome, QueueFilter, Store
from sendryd.store.drivers.sqlite import FILE_NAME
from sendryd.store.errors import RowUnreadable
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.stores import open_new_store

LATER = NOW + timedelta(minutes=5)
LIVE = MessageFilter(mode=KeyMode.LIVE)
NOBODY: frozenset[WebhookId] = frozenset()
BAD_JSON = ["'{'", "''", "'7'", "'{}'", "'[[1]'", "cast(x'ff5b5d' as text)"]


class Told:
    """A store, what it has told of, and a hand that damages it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[tuple[str, str]] = []
        self.store: Store = open_new_store(folder, tell_unreadable=lambda public_id, reason: self.told.append((public_id, reason)))
        self.samples = Samples()
        self._table, self._schema = "", ""

    def damage(self, statement: str) -> None:
        connection = apsw.Connection(str(self.folder / FILE_NAME))
        connection.set_busy_timeout(5000)
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)
        assert connection.changes()
        connection.close()

    def loosen(self, table: str) -> None:
        """Lets a table take values of a wrong type, as a damaged page has them."""
        connection = apsw.Connection(str(self.folder / FILE_NAME))
        self._table, self._schema = table, connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
        connection.close()
        loose = self._schema.replace(") STRICT", ")").replace("TEXT NOT NULL", "TEXT").replace("INTEGER NOT NULL", "INTEGER")
        self._alter(loose, 1_000_001)

    def tighten(self) -> None:
        """The table is as it was, but for what is in it."""
        if self._schema:
            self._alter(self._schema, 1_000_002)

    def _alter(self, schema: str, version: int) -> None:
        connection = apsw.Connection(str(self.folder / FILE_NAME))
        connection.set_busy_timeout(5000)
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (schema, self._table))
        connection.execute(f"PRAGMA schema_version = {version}")
        connection.close()

    async def accept(self) -> NewMessage:
        new = self.samples.message()
        await self.store.accept(new)
        return new


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    made = Told(tmp_path)
    await made.store.ensure_account(ACCOUNT, "default", NOW)
    yield made
    await made.store.aclose()


MESSAGES = [
    *(f"UPDATE message SET recipients = {value}" for value in BAD_JSON),
    *(f"UPDATE message SET tags = {value}" for value in BAD_JSON[:1] + BAD_JSON[2:3] + BAD_JSON[-1:]),
    "UPDATE message SET type = 'novel'",
    "UPDATE message SET created_at = 9000000000000000000",
    "UPDATE message SET subject = cast(x'ff' as text)",
    "UPDATE message SET mode = cast(x'ff' as text)",
    "UPDATE message SET mode = 'novel'",
]


@pytest.mark.parametrize("damage", MESSAGES)
async def test_a_message_that_cannot_be_read_is_held_and_the_others_are_claimed(told: Told, damage: str) -> None:
    first, bad, last = [await told.accept() for _ in range(3)]
    told.damage(f"{damage} WHERE id = {bad.message.id}")
    lease = told.samples.lease()
    claims = await told.store.claim_deliveries(now=LATER, lease=lease, limit=9, busy=frozenset(), per_domain=9)
    assert {claim.message.id for claim in claims} == {first.message.id, last.message.id}
    outcomes = [
        Outcome(delivery_id=claim.deliveries[0].id, state=DeliveryState.DELIVERED, due_at=None, reply="", events=()) for claim in claims
    ]
    await told.store.record_attempt(lease, outcomes, LATER)
    counts = await told.store.count_queue()
    assert (counts[DeliveryState.HELD], counts[DeliveryState.LEASED]) == (1, 0)
    assert await told.store.claim_deliveries(now=LATER, lease=lease, limit=9, busy=frozenset(), per_domain=9) == []
    assert len(told.told) == told.store.statistics()["unreadable_rows"] == 1
    assert told.told[0][0] in {format_id(MESSAGE_PREFIX, bad.message.id), MESSAGE_PREFIX}
    # Lists show what can be read of it, or leave it out.
    page = await told.store.list_messages(ACCOUNT, LIVE, limit=9)
    assert {first.message.id, last.message.id} <= {each.message.id for each in page.items}
    found = await told.store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE, text="user@"), limit=9)
    assert {first.message.id, last.message.id} <= {each.message.id for each in found.items}
    queue = await told.store.list_queue(QueueFilter())
    if "recipients" in damage or "tags" in damage:
        assert "x'ff" in damage or [each.hold_reason for each in queue] == [HoldReason.UNREADABLE]
    assert await told.store.release_held(QueueFilter(), LATER) == 1


TEXTS = ("forward_path", "domain", "last_reply", "notify", "orcpt", "class", "site")
NUMBERS = ("message_id", "due_at", "attempts", "is_in_doubt", "created_at", "crashes", "returned_token", "account_id")
UNREAD = {"created_at", "crashes", "returned_token", "account_id", "class", "site"}  # by who sends
BROKEN_TEXT = [f"{column} = cast(x'ff40' as text)" for column in TEXTS]
OTHERS = [
    "forward_path = 'user'",
    "forward_path = ''",
    "class = 'novel'",
    "forward_path = 'a b@one.test'",
    "domain = 'other.test'",
    "domain = ''",
    "message_id = 7",
]
WRONG_TYPES = [
    *(f"{column} = x'ff'" for column in (*TEXTS, *NUMBERS)),
    *(f"{column} = 'word'" for column in NUMBERS),
]


ALONE = ["domain = cast(x'ff40' as text)", "domain = x'ff'", "due_at = 'word'", "attempts = 'word'"]


@pytest.mark.parametrize(
    ("damage", "is_alone"), [*((each, False) for each in (*BROKEN_TEXT, *OTHERS, *WRONG_TYPES)), *((each, True) for each in ALONE)]
)
async def test_a_delivery_that_is_damaged_is_held_and_the_others_are_claimed(told: Told, damage: str, *, is_alone: bool) -> None:
    bad = await told.accept()
    good = [] if is_alone else [await told.accept() for _ in range(2)]
    number = bad.deliveries[0].id
    if damage in WRONG_TYPES:
        told.loosen("delivery")
    told.damage(f"UPDATE delivery SET {damage} WHERE id = {number}")
    told.tighten()
    claims = await told.store.claim_deliveries(now=LATER, lease=told.samples.lease(), limit=9, busy=frozenset(), per_domain=9)
    claimed = [claim.message.id for claim in claims]
    if bad.message.id in claimed:  # what is damaged is not read for sending
        assert damage.split(maxsplit=1)[0] in UNREAD
        return
    assert claimed == [each.message.id for each in good]
    counts = await told.store.count_queue()
    if damage.startswith("due_at") and not is_alone:  # it comes behind all that are sound; the next start brings it forward
        assert counts[DeliveryState.QUEUED] == 1
        assert await told.store.bring_forward(now=LATER, latest=LATER, limit=9) == 1
        return
    assert (counts[DeliveryState.HELD], counts[DeliveryState.QUEUED], counts[DeliveryState.LEASED]) == (1, 0, len(good))
    assert told.told[0][0] in {format_id(DELIVERY_PREFIX, number), format_id(MESSAGE_PREFIX, bad.message.id)}
    assert await told.store.claim_deliveries(now=LATER, lease=told.samples.lease(), limit=9, busy=frozenset(), per_domain=9) == []
    assert await told.store.cancel(QueueFilter(delivery_id=number), LATER, told.samples.event) == 1


@pytest.mark.parametrize("damage", [each for each in WRONG_TYPES if "word" in each] + ["domain = x'ff'", "domain = cast(x'ff40' as text)"])
async def test_a_start_returns_the_leases_of_a_dead_process_though_one_of_the_rows_is_damaged(told: Told, damage: str) -> None:
    lease = told.samples.lease()
    bad, good = [told.samples.message(lease=lease) for _ in range(2)]
    for new in (bad, good):
        await told.store.accept(new)
    told.loosen("delivery")
    told.damage(f"UPDATE delivery SET {damage} WHERE id = {bad.deliveries[0].id}")
    told.tighten()
    await told.store.return_dead_leases(replace(lease.owner, boot=lease.owner.boot + 1), now=LATER, pause=lambda *_: timedelta())
    counts = await told.store.count_queue()
    assert counts[DeliveryState.LEASED] == 0
    assert counts[DeliveryState.QUEUED] >= 1


async def test_a_live_message_is_never_captured(told: Told) -> None:
    bad = await told.accept()
    told.damage(f"UPDATE delivery SET domain = '' WHERE id = {bad.deliveries[0].id}")
    assert await told.store.capture_due(now=LATER, simulate=lambda _: (DeliveryState.DELIVERED, ()), limit=9) == []


@pytest.mark.parametrize("column", ["reverse_path", "size", "envid", "tags", "template_id", "signing_domain_id"])
async def test_a_message_with_a_value_of_a_wrong_type_is_held(told: Told, column: str) -> None:
    bad, good = await told.accept(), await told.accept()
    told.loosen("message")
    told.damage(f"UPDATE message SET {column} = x'ff' WHERE id = {bad.message.id}")
    told.tighten()
    claims = await told.store.claim_deliveries(now=LATER, lease=told.samples.lease(), limit=9, busy=frozenset(), per_domain=9)
    assert [claim.message.id for claim in claims] == [good.message.id]
    assert (await told.store.count_queue())[DeliveryState.HELD] == 1


async def test_expiry_passes_a_damaged_row(told: Told) -> None:
    bad, good = await told.accept(), await told.accept()
    told.loosen("delivery")
    told.damage(f"UPDATE delivery SET attempts = 'word' WHERE message_id = {bad.message.id}")
    told.tighten()
    late = NOW + timedelta(days=9)
    expired = await told.store.expire_deliveries(now=late, created_before=late, make_event=told.samples.event, limit=9)
    assert expired == 1
    assert [each.id for each in await told.store.list_queue(QueueFilter(states=frozenset({DeliveryState.HELD})))] == [bad.deliveries[0].id]
    assert [each.id for each in await told.store.list_queue(QueueFilter(states=frozenset({DeliveryState.EXPIRED})))] == [
        good.deliveries[0].id
    ]


@pytest.mark.parametrize("value", BAD_JSON)
async def test_an_event_that_is_damaged_is_shown_without_metadata(told: Told, value: str) -> None:
    first, second = await told.accept(), await told.accept()
    told.damage(f"UPDATE event SET metadata = {value} WHERE message_id = {first.message.id}")
    page = await told.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE), limit=9)
    assert second.message.id in {event.message_id for event in page.items}
    assert "x'ff" in value or len(page.items) == 2


@pytest.mark.parametrize("value", BAD_JSON)
@pytest.mark.parametrize("what", ["body", "metadata", "type", "events"])
async def test_a_notification_that_cannot_be_read_has_failed_and_the_others_go_on(told: Told, what: str, value: str) -> None:
    webhook = told.samples.webhook()
    await told.store.add_webhook(webhook)
    lease = told.samples.lease()
    for _ in range(3):
        new = told.samples.message(lease=lease)
        await told.store.accept(new)
        event = told.samples.event(EventType.DELIVERED, {"n": 1})
        outcome = Outcome(delivery_id=new.deliveries[0].id, state=DeliveryState.DELIVERED, due_at=None, reply="", events=(event,))
        await told.store.record_attempt(lease, [outcome], NOW)
    await told.store.fan_out(limit=99)
    told.damage(
        {
            "body": f"UPDATE notification SET body = {value}, event_id = NULL WHERE id = 2",
            "metadata": f"UPDATE event SET metadata = {value} WHERE id = (SELECT event_id FROM notification WHERE id = 2)",
            "type": f"UPDATE notification SET type = {value} WHERE id = 2",
            "events": f"UPDATE webhook SET events = {value}",
        }[what]
    )
    claims = await told.store.claim_notifications(now=LATER, lease=told.samples.lease(), limit=9, busy=NOBODY, per_webhook=9)
    claimed = {claim.notification.id for claim in claims}
    if what == "events":
        assert claimed == ({1, 2, 3} if "x'ff" not in value else set())
        assert len((await told.store.page_webhooks(ACCOUNT, limit=9)).items) == ("x'ff" not in value)
        return
    is_readable = 2 in claimed  # JSON of another kind than was stored
    assert claimed >= {1, 3}
    page = await told.store.page_notifications(ACCOUNT, limit=9)
    assert {1, 3} <= {each.id for each in page.items}
    states = {int(each.id): each.state for each in page.items}
    assert states.get(2, NotificationState.FAILED) is (NotificationState.LEASED if is_readable else NotificationState.FAILED)
    assert is_readable or told.told


async def test_a_damaged_webhook_holds_up_no_outcome(told: Told) -> None:
    await told.store.add_webhook(told.samples.webhook())
    good = told.samples.webhook()
    await told.store.add_webhook(good)
    told.damage(f"UPDATE webhook SET events = '{{' WHERE id <> {good.id}")
    lease = told.samples.lease()
    new = told.samples.message(lease=lease)
    await told.store.accept(new)
    event = told.samples.event(EventType.DELIVERED)
    outcome = Outcome(delivery_id=new.deliveries[0].id, state=DeliveryState.DELIVERED, due_at=None, reply="", events=(event,))
    await told.store.record_attempt(lease, [outcome], NOW)
    await told.store.fan_out(limit=99)
    assert [each.webhook_id for each in (await told.store.page_notifications(ACCOUNT, limit=9)).items] == [good.id]


@pytest.mark.parametrize("value", BAD_JSON)
async def test_domains_and_templates_that_cannot_be_read_are_left_out_of_lists(told: Told, value: str) -> None:
    for name in ("one.test", "two.test"):
        await told.store.add_domain(told.samples.domain(name))
        number = told.samples.number()
        template = Template(
            id=TemplateId(number),
            account_id=AccountId(1),
            name=name,
            content=TemplateContent(subject="s", html="<p>h</p>", text=None, engine="html", variables=None, blocks=None),
            created_at=NOW,
            updated_at=NOW,
        )
        await told.store.add_template(template, TemplateVersionId(number))
    told.damage(f"UPDATE sending_domain SET settings = {value} WHERE name = 'one.test'")
    told.damage(f"UPDATE template SET content = {value} WHERE name = 'one.test'")
    assert [each.name for each in await told.store.list_domains()] == ["two.test"]
    assert [each.name for each in (await told.store.page_domains(ACCOUNT, limit=9)).items] == ["two.test"]
    assert "two.test" in [each.name for each in (await told.store.page_templates(ACCOUNT, limit=9)).items]
    with pytest.raises(RowUnreadable, match="cannot be read"):
        await told.store.find_domain(ACCOUNT, "one.test")
    told.damage(f"UPDATE sending_domain SET records = {value} WHERE name = 'two.test'")
    if "x'ff" not in value:
        found = await told.store.find_domain(ACCOUNT, "two.test")
        assert found is not None
        assert found.records == ()


async def test_a_start_finds_its_way_around_damaged_rows(told: Told) -> None:
    bad, good = await told.accept(), await told.accept()
    await told.store.add_webhook(told.samples.webhook())
    told.damage(f"UPDATE message SET recipients = '' WHERE id = {bad.message.id}")
    told.damage("UPDATE webhook SET events = ''")
    again = open_store(told.folder)
    claims = await again.claim_deliveries(now=LATER, lease=told.samples.lease(), limit=9, busy=frozenset(), per_domain=9)
    assert [claim.message.id for claim in claims] == [good.message.id]
    await again.aclose()
