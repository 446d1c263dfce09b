"""Which addresses port 25 takes mail for."""

from pathlib import Path

from sendryd.inbound.addresses import Addresses, MailboxOf
from sendryd.model.ids import AuditId
from sendryd.model.people import AuditEntry
from sendryd.policy.returnpath import make_inbound_address
from sendryd.smtp.address import Mailbox
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.stores import open_new_store

SECRET = b"s" * 64
BOUNCES = "bounce.example.test"


async def test_the_address_of_an_account_is_refused_from_its_end_to_its_next_reader(tmp_path: Path) -> None:
    store, samples = open_new_store(tmp_path / "data"), Samples()
    local_part, _, domain = make_inbound_address(SECRET, ACCOUNT, BOUNCES).partition("@")
    address, addresses = Mailbox(local_part, domain), Addresses(store, SECRET, BOUNCES)
    try:
        await store.ensure_account(ACCOUNT, "default", NOW)
        await store.add_api_key(samples.api_key())
        assert await addresses.find(address) == MailboxOf(ACCOUNT)
        entry = AuditEntry(
            id=AuditId(samples.number()),
            account_id=ACCOUNT,
            actor="ada",
            address="",
            action="account.deleted",
            target="default",
            created_at=NOW,
        )
        await store.close_account(ACCOUNT, "default", NOW, entry)
        assert await addresses.find(address) is None
        await store.add_api_key(samples.api_key())
        assert await addresses.find(address) == MailboxOf(ACCOUNT)
    finally:
        await store.aclose()
