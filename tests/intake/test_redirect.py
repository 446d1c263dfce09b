"""Ways out: captured, redirected and copied mail, as the store has it."""

from dataclasses import replace

import pytest

from sendryd.intake.assemble import Prepared
from sendryd.intake.submission import Options, Receipt
from sendryd.model.actor import System
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DomainStatus
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, MessageId, parse_id
from sendryd.model.message import MessageSummary
from sendryd.policy.refusal import RefusalKey
from sendryd.store.base import EventFilter, QueueFilter
from sendryd.testing.door import ACCOUNT, CONTENT, TEST_SECRET, VERIFIED, Door
from sendryd.testing.samples import Samples

FIELD = b"X-Sendry-Original-To"


async def door_with(delivery: str) -> Door:
    door = await Door().open()
    domain = await door.store.find_domain(ACCOUNT, VERIFIED)
    assert domain is not None
    await door.store.set_domain_settings(domain, replace(domain.settings, delivery=delivery))
    door.directory.invalidate()
    return door


async def accepted(door: Door, receipt: object) -> tuple[MessageSummary, bytes, dict[str, bool]]:
    """The message, its header block, and the addresses that it goes to: whether each is a copy."""
    assert isinstance(receipt, Receipt), receipt
    number = parse_id(receipt.message_id, MESSAGE_PREFIX)
    assert number is not None
    summary = await door.store.get_message(ACCOUNT, MessageId(number))
    assert summary is not None
    deliveries = await door.store.list_queue(QueueFilter(message_id=summary.message.id))
    content = await door.store.read_content(summary.message.id)
    return summary, content.partition(b"\r\n\r\n")[0], {each.forward_path: each.is_copy for each in deliveries}


async def test_mail_of_a_capturing_domain_is_in_the_test_inbox_as_if_a_test_key_had_sent_it() -> None:
    door = await door_with("capture")
    submission = replace(
        door.submission(CONTENT.replace(b"Subject", b"Sender: x@elsewhere.test\r\nSubject")), reverse_path="x@elsewhere.test"
    )
    summary, header, paths = await accepted(door, await door.intake.accept(submission))
    assert (summary.message.mode, summary.message.signing_domain_id) == (KeyMode.TEST, None)
    assert (summary.states, paths) == ({DeliveryState.DELIVERED: 1}, {"user@example.org": False})
    assert FIELD not in header
    assert await door.store.list_queue(QueueFilter(domain="example.org")) == []


async def test_a_staging_domain_needs_no_records_and_does_not_fall_back_to_the_domain_above() -> None:
    door = await door_with("live")
    above = await door.store.find_domain(ACCOUNT, VERIFIED)
    assert above is not None
    await door.store.set_domain_settings(above, replace(above.settings, include_subdomains=True))
    new = Samples().domain(f"staging.{VERIFIED}")
    assert new.domain.status is DomainStatus.PENDING
    await door.store.add_domain(replace(new, domain=replace(new.domain, settings=replace(new.domain.settings, delivery="capture"))))
    door.directory.invalidate()
    content = CONTENT.replace(b"hello@", b"hello@staging.")
    summary, _, _ = await accepted(door, await door.intake.accept(replace(door.submission(content), reverse_path=f"a@staging.{VERIFIED}")))
    assert summary.message.mode is KeyMode.TEST
    live = replace(door.submission(), reverse_path="a@unknown.test")  # MAIL refuses it unless the domain captures
    refusal = await door.intake.accept(live)
    assert getattr(refusal, "key", None) is RefusalKey.DOMAIN_NOT_VERIFIED


async def test_redirected_mail_goes_to_the_given_addresses_alone_and_names_who_was_visible() -> None:
    door = await door_with("redirect:dev@team.test,qa@team.test")
    content = CONTENT.replace(b"To: user@example.org", b"To: User <User@Example.org>\r\nCc: second@example.org")
    submission = door.submission(content, recipients=("user@example.org", "second@example.org", "secret@example.org"))
    summary, header, paths = await accepted(door, await door.intake.accept(submission))
    assert paths == {"dev@team.test": False, "qa@team.test": False}
    assert summary.message.mode is KeyMode.LIVE
    assert b"X-Sendry-Original-To: user@example.org,\r\n second@example.org,\r\n undisclosed-recipients:;\r\n" in header
    assert b"secret" not in header
    events = await door.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, message_id=summary.message.id), limit=10)
    assert events.items[0].metadata["redirected_from"] == ["user@example.org", "second@example.org", "secret@example.org"]


@pytest.mark.parametrize(("recipient", "field"), [("user@example.org", b"user@example.org"), ("other@example.org", b"other@example.org")])
async def test_the_only_recipient_is_named(recipient: str, field: bytes) -> None:
    door = await door_with("redirect:dev@team.test")
    _, header, _ = await accepted(door, await door.intake.accept(door.submission(recipients=(recipient,))))
    assert b"X-Sendry-Original-To: " + field + b"\r\n" in header


async def test_a_redirect_within_the_domain_is_applied_once_and_its_field_cannot_be_forged() -> None:
    door = await door_with(f"redirect:dev@{VERIFIED}")
    content = CONTENT.replace(b"Subject", b"X-Sendry-Original-To: forged@example.org\r\nSubject")
    _, header, paths = await accepted(door, await door.intake.accept(door.submission(content, recipients=(f"dev@{VERIFIED}",))))
    assert paths == {f"dev@{VERIFIED}": False}
    assert header.count(FIELD) == 1
    assert b"forged" not in header
    other = await door_with("live")
    _, header, _ = await accepted(other, await other.intake.accept(other.submission(content)))
    assert FIELD not in header


async def test_a_copy_is_a_delivery_of_its_own_that_the_status_does_not_depend_on() -> None:
    door = await door_with("copy:archive@team.test,user@example.org")
    summary, header, paths = await accepted(door, await door.intake.accept(door.submission()))
    assert paths == {"user@example.org": False, "archive@team.test": True}
    assert (summary.states, summary.last_event) == ({DeliveryState.QUEUED: 1}, EventType.QUEUED)
    assert FIELD not in header


@pytest.mark.parametrize("delivery", ["capture", "redirect:dev@team.test", "copy:archive@team.test"])
async def test_the_programs_own_mail_and_test_mail_keep_their_way(delivery: str) -> None:
    door = await door_with(delivery)
    own = replace(door.submission(), actor=System(ACCOUNT), options=Options(is_straight=True))
    summary, header, paths = await accepted(door, await door.intake.accept(own))
    assert (summary.message.mode, paths, FIELD in header) == (KeyMode.LIVE, {"user@example.org": False}, False)
    summary, header, paths = await accepted(door, await door.intake.accept(door.submission(secret=TEST_SECRET)))
    assert (summary.message.mode, paths, FIELD in header) == (KeyMode.TEST, {"user@example.org": False}, False)


async def test_a_change_of_the_way_does_not_touch_accepted_mail() -> None:
    door = await door_with("live")
    summary, _, _ = await accepted(door, await door.intake.accept(door.submission()))
    domain = await door.store.find_domain(ACCOUNT, VERIFIED)
    assert domain is not None
    await door.store.set_domain_settings(domain, replace(domain.settings, delivery="capture"))
    door.directory.invalidate()
    changed = await door.intake.prepare(door.submission(), message_id=summary.message.id)
    assert isinstance(changed, Prepared)
    assert changed.new.message.mode is KeyMode.LIVE
    assert changed.new.message.signing_domain_id == domain.id
