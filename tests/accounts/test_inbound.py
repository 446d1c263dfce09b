"""Where mail that comes in is posted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendryd.accounts.account import Accounts
from sendryd.accounts.inbound import Inbound
from sendryd.model.account import InboundForwarding
from sendryd.model.ids import AccountId
from sendryd.policy.urlguard import UrlRefused
from sendryd.runtime.rand import SeededRand
from sendryd.testing.clock import ManualClock
from sendryd.testing.stores import open_new_store

ACCOUNT = AccountId(1)
URL = "https://hooks.example.com/in"


@pytest.fixture
async def inbound(tmp_path: Path) -> AsyncIterator[Inbound]:
    store = open_new_store(tmp_path)
    await store.ensure_account(ACCOUNT, "one", ManualClock().now())
    yield Inbound(Accounts(store), store, SeededRand(1), allow_private=False)
    await store.aclose()


async def test_a_secret_is_made_once_kept_and_replaced(inbound: Inbound) -> None:
    first = await inbound.set(ACCOUNT, url=URL, secret=None)
    assert first.secret is not None
    assert first.secret.startswith("whsec_")
    assert await inbound.set(ACCOUNT, url=f"{URL}2", secret=None) == InboundForwarding(url=f"{URL}2", secret=first.secret)
    mine = InboundForwarding(url=URL, secret="mine")
    assert await inbound.set(ACCOUNT, url=URL, secret="mine") == mine
    assert await inbound.get(ACCOUNT) == mine
    assert await inbound.set(ACCOUNT, url=None, secret=None) == InboundForwarding()


async def test_mail_is_not_posted_into_the_own_network(inbound: Inbound) -> None:
    with pytest.raises(UrlRefused):
        await inbound.set(ACCOUNT, url="http://127.0.0.1/", secret=None)
    assert await inbound.get(ACCOUNT) == InboundForwarding()
