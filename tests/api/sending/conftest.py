"""A key that may send."""

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import AccountId
from sendryd.store.base import DomainCheck
from sendryd.testing.api import ApiWorld

Key = tuple[ApiKey, str]
ACCOUNT = AccountId(1)


@pytest.fixture
async def sender(api: ApiWorld) -> Key:
    """A live key that may send from example.test."""
    domain = await api.domains.add(ACCOUNT, "example.test")
    now = api.clock.now()
    check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
    await api.store.record_domain_check(domain, check)
    api.directory.invalidate()
    return await api.keys.create(System(ACCOUNT), "sender", scope=Scope.SENDING_ACCESS)
