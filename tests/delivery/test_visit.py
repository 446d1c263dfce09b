"""What a visit tells of the server."""

from dataclasses import replace

import pytest

from sendryd.model.domain import DomainSettings, TlsPolicy
from sendryd.model.ids import DomainId
from sendryd.policy.throttle import Signal
from sendryd.testing.post import Post

pytestmark = pytest.mark.sockets


async def test_a_server_that_does_not_show_what_a_policy_asks_may_take_other_mail(post: Post) -> None:
    domain = await post.store.get_domain(DomainId(1))
    assert domain is not None
    await post.store.set_domain_settings(domain, replace(DomainSettings(), tls_policy=TlsPolicy.ENFORCED))
    assert await post.send() is Signal.NEUTRAL


async def test_a_server_that_cannot_be_reached_is_to_blame(post: Post) -> None:
    await post.first.aclose()
    await post.second.aclose()
    assert await post.send() is Signal.BAD
