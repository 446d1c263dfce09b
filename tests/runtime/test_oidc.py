"""The identity provider as the relay asks it: what is believed of its description, and how much of its answers is read."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from sendryd.policy.idtoken import TokenRefused
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.http import AiohttpClient
from sendryd.runtime.oidc import Client, Provider, ProviderFailed
from sendryd.runtime.resolver import Resolver
from sendryd.testing.clock import ManualClock
from sendryd.testing.identityprovider import CLIENT_ID, CLIENT_SECRET, IdentityProvider

pytestmark = pytest.mark.sockets


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture
def server(running: IdentityProvider) -> IdentityProvider:
    running.reset()
    return running


@pytest.fixture
async def http() -> AsyncIterator[AiohttpClient]:
    client = AiohttpClient(Resolver(SystemClock(), ("127.0.0.1", 9)), SystemClock(), allow_private=True)  # no name is looked up
    yield client
    await client.aclose()


def make_provider(server: IdentityProvider, http: AiohttpClient, clock: ManualClock | None = None) -> Provider:
    client = Client(issuer=server.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uri="https://mail.acme.example/back")
    return Provider(client, http, clock or SystemClock())


async def url(provider: Provider) -> str:
    return await provider.authorization_url(state="state", nonce="nonce", verifier="verifier", is_again=False)


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": "http://another.example/token"},
        {"token_endpoint": "ftp://another.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "https://id.example/\n"},
        {"authorization_endpoint": "https://[::1"},
        {"userinfo_endpoint": 7},
    ],
    ids=repr,
)
async def test_a_description_that_leads_elsewhere_is_not_believed(
    server: IdentityProvider, http: AiohttpClient, description: dict[str, object]
) -> None:
    server.description = description
    with pytest.raises(ProviderFailed):
        await url(make_provider(server, http))


async def test_a_provider_that_fails_is_left_alone_for_a_while(server: IdentityProvider, http: AiohttpClient) -> None:
    path = "/.well-known/openid-configuration"
    clock = ManualClock()
    provider, before = make_provider(server, http, clock), server.asked.count(path)
    for answer in ((503, b"{}"), (200, b"[]"), (200, b"{" * 100_000), (200, b" " * 300_000)):
        server.answers = {path: answer}
        for _ in range(3):
            with pytest.raises(ProviderFailed):
                await url(provider)
        clock.advance(timedelta(seconds=16))
    assert server.asked.count(path) - before == 4
    server.reset()
    for _ in range(3):
        assert (await url(provider)).startswith(f"{server.issuer}/authorize?")
    assert server.asked.count(path) - before == 5


async def test_a_secret_goes_where_the_provider_wants_it_and_a_code_needs_its_verifier(
    server: IdentityProvider, http: AiohttpClient
) -> None:
    provider = make_provider(server, http)
    back = server.authorize(await url(provider))
    code = back.partition("code=")[2].partition("&")[0]
    with pytest.raises(ProviderFailed, match="invalid_grant"):
        await provider.identify(code, nonce="nonce", verifier="another")
    back = server.authorize(await url(provider))
    found = await provider.identify(back.partition("code=")[2].partition("&")[0], nonce="nonce", verifier="verifier")
    assert found.email == "ann@acme.example"


async def test_a_provider_that_names_itself_has_to(server: IdentityProvider, http: AiohttpClient) -> None:
    provider = make_provider(server, http)
    await provider.check_issuer(None)
    await provider.check_issuer(server.issuer)
    with pytest.raises(TokenRefused):
        await provider.check_issuer("https://another.example")
    server.description = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(TokenRefused):
        await make_provider(server, http).check_issuer(None)
