"""How sessions went is counted for reports, under the policies of the recipient's domain."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date

import pytest
import trustme

from sendryd.model.domain import StsMode
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.routing import NextHop
from sendryd.policy.tls import HostDane
from sendryd.policy.tlsrpt import Failure, PolicyType, TlsResult
from sendryd.testing.post import Post

from .conftest import opened

pytestmark = pytest.mark.sockets


@pytest.fixture
async def tls_post() -> AsyncIterator[Post]:
    made = Post(timeout=10.0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("other.test").configure_cert(context)
    made.first.tls = context
    async with opened(made) as made:
        yield made


async def results(post: Post, *, sts: StsPolicy | None = None, dane: HostDane | None = None) -> dict[TlsResult, int]:
    """What one attempt adds, by the policies of its domain."""
    (claim,) = await post.claim("user@two.test")
    route = await post.destinations.find(claim.domain)
    assert isinstance(route, NextHop)
    hosts = tuple(replace(each, dane=dane) if dane else each for each in route.hosts)
    attempt = await post.worker.attempt(claim, None, replace(route, hosts=hosts, sts=sts))
    await post.worker.record(attempt)
    await post.tls_results.store()
    days = await post.store.list_tls_days(before=date(9999, 1, 1))
    return {result: number for day, domain in days for result, number in await post.store.find_tls_results(day, domain)}


def sts(mode: StsMode, *mx: str) -> StsPolicy:
    return StsPolicy(mode=mode, mx=mx, max_age=60)


async def test_a_session_counts_as_a_success_or_by_what_it_lacks(post: Post, tls_post: Post) -> None:
    ((plain, number),) = (await results(post)).items()
    assert (plain.policy_type, plain.failure, plain.host, number) == (PolicyType.NONE, Failure.STARTTLS_NOT_SUPPORTED, "one.two.test", 1)
    ((encrypted, number),) = (await results(tls_post)).items()
    assert (encrypted.policy_type, encrypted.failure, encrypted.host, number) == (PolicyType.NONE, None, "", 1)


async def test_a_policy_in_testing_is_looked_at_and_the_mail_arrives_anyway(tls_post: Post) -> None:
    ((found, number),) = (await results(tls_post, sts=sts(StsMode.TESTING, "one.two.test"))).items()
    assert (found.policy_type, found.failure, number) == (PolicyType.STS, Failure.NOT_TRUSTED, 1)
    assert tls_post.taken == (1, 0)
    assert tls_post.first.mails[0].tls


async def test_a_server_that_a_policy_in_testing_does_not_name_is_counted(tls_post: Post) -> None:
    ((found, _),) = (await results(tls_post, sts=sts(StsMode.TESTING, "elsewhere.test"))).items()
    assert (found.failure, found.host) == (Failure.VALIDATION, "one.two.test")
    assert tls_post.taken == (1, 0)


async def test_servers_that_get_no_mail_by_a_policy_are_counted(tls_post: Post) -> None:
    found = await results(tls_post, sts=sts(StsMode.ENFORCE, "one.two.test"), dane=HostDane(failure="no answer"))
    assert {(each.failure, each.host) for each in found} == {(Failure.DNSSEC, "one.two.test"), (Failure.DNSSEC, "two.two.test")}
    assert tls_post.taken == (0, 0)
