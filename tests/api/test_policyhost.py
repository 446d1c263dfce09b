"""The policy hosts of MTA-STS."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.domain import SendingDomain, StsMode
from sendryd.policy.mtasts import read_policy
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases
from sendryd.testing.samples import ACCOUNT

PATH = "/.well-known/mta-sts.txt"


@pytest.fixture
async def domain(api: ApiWorld) -> SendingDomain:
    """A verified domain."""
    added = await api.domains.add(ACCOUNT, "example.test")
    api.zone.publish(added)
    api.clock.advance(timedelta(minutes=1))
    return (await api.domains.verify(added)).domain


@cases("host", ["mta-sts.example.test", "MTA-STS.Example.TEST.", "mta-sts.example.test:8443"])
async def test_the_policy_of_a_verified_domain_is_served(api: ApiWorld, domain: SendingDomain, host: str) -> None:
    await api.domains.change(domain.id, lambda settings: replace(settings, mta_sts=StsMode.ENFORCE))
    answer = await api.request("GET", PATH, [("host", host)])
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    policy = read_policy(answer.body)
    assert (policy.mode, policy.mx) == (StsMode.ENFORCE, ("relay.example.test",))


@pytest.mark.usefixtures("domain")
@pytest.mark.parametrize("host", ["example.test", "mta-sts.other.test", "mta-sts.sub.example.test", "mta-sts.", "links.example.test", "x"])
async def test_another_host_has_no_policy(api: ApiWorld, host: str) -> None:
    assert (await api.request("GET", PATH, [("host", host)])).status == 404


async def test_a_domain_that_is_not_verified_has_none(api: ApiWorld) -> None:
    await api.domains.add(ACCOUNT, "pending.test")
    assert (await api.request("GET", PATH, [("host", "mta-sts.pending.test")])).status == 404
