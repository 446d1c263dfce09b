"""Two accounts on a store, a clock that a test moves, and people."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendryd.accounts.audit import Audit, Client
from sendryd.accounts.factors import Factors
from sendryd.accounts.people import People
from sendryd.accounts.signin import NewSession, SignIn
from sendryd.model.ids import AccountId
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.passwords import Passwords
from sendryd.runtime.rand import SystemRand
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT
from sendryd.testing.stores import open_new_store

EMAIL, PASSWORD = "ann@acme.example", "four words make one"
HERE = Client(address="192.0.2.1", agent="Firefox")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = open_new_store(tmp_path)
    for account in (AccountId(1), AccountId(2)):
        await opened.ensure_account(account, f"account {account}", clock.now())
    yield opened
    await opened.aclose()


@pytest.fixture
def ids(clock: ManualClock) -> IdSource:
    return IdSource(clock, SystemRand())


@pytest.fixture
def signin(store: Store, clock: ManualClock, ids: IdSource) -> SignIn:
    return make_signin(store, clock, ids, Passwords())


@pytest.fixture
def people(store: Store, clock: ManualClock, ids: IdSource, signin: SignIn) -> People:
    return People(store, clock=clock, rand=SystemRand(), ids=ids, signin=signin, audit=Audit(store, clock=clock, ids=ids))


def make_signin(store: Store, clock: ManualClock, ids: IdSource, passwords: Passwords) -> SignIn:
    """Signing in, with hashes made by `passwords`."""
    rand = SystemRand()
    audit = Audit(store, clock=clock, ids=ids)
    factors = Factors(store, clock=clock, rand=rand, audit=audit)
    return SignIn(store, clock=clock, rand=rand, audit=audit, passwords=passwords, factors=factors)


async def owner(people: People) -> NewSession:
    """Ann owns the account."""
    token = await people.make_owner_link(ACCOUNT)
    return await people.welcome(token, name="Ann", email=EMAIL, password=PASSWORD, client=HERE)
