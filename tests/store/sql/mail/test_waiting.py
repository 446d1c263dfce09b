"""Lists of waiting messages, however many recipients each has."""

from pathlib import Path

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import WAITING_STATES
from sendryd.store.base import MessageFilter
from sendryd.store.sql.mail.searching import MANY
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.stores import open_new_store

EACH = 1000  # recipients of a message


async def test_messages_with_many_recipients_are_all_listed(tmp_path: Path) -> None:
    store, samples, number = open_new_store(tmp_path), Samples(), MANY // EACH + 2
    await store.ensure_account(ACCOUNT, "default", NOW)
    for _ in range(number):
        await store.accept(samples.message([f"box{each}@one.test" for each in range(EACH)]))
    page = await store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE, states=WAITING_STATES), limit=number)
    assert (len(page.items), page.has_more) == (number, False)
    await store.aclose()
