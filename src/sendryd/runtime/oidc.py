"""Speaks with an identity provider of OpenID Connect: asks where it is, changes a code for a token, and reads who signs in.

Strategy: the provider's description and keys are fetched with the first sign-in and kept for an hour; keys again when a token names one that is not
known. The issuer is the operator's, so it may be on a private address, as a smart host may; what its description names has to be on TLS or at the
issuer's own origin.
When things fail: `ProviderFailed` says how, for the log; after a failure the next quarter minute asks nothing.
Limits: octets of each answer here; seconds by the HTTP client. No redirect is followed.
Standards: OpenID Connect Core 1.0 and Discovery 1.0; RFC 6749 (OAuth 2.0), RFC 7636 (PKCE), RFC 7517 (keys), RFC 9207 (the issuer in answers).
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

from sendryd.policy.base64url import from_base64url, to_base64url
from sendryd.policy.idtoken import Expected, Identity, TokenRefused, add_userinfo, read_claims
from sendryd.runtime.clock import Clock
from sendryd.runtime.posting import HttpExchanger, HttpFault

MAX_SIZE: Final = 256 * 1024  # octets of an answer: descriptions and keys have some 10 KiB, tokens with many groups some more
MAX_URL: Final = 2_000  # characters of an endpoint
MAX_TOKEN: Final = 64 * 1024  # characters of an ID token
MAX_KEYS: Final = 64  # of a provider; usual are two or three
KEPT: Final = 3600.0  # seconds: providers announce new keys longer before
PAUSE: Final = 15.0  # seconds between fetches after a failure, or for a key that is not known
FRESH: Final = 300  # seconds within which a person proves again to the provider who they are
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)  # asymmetric ones alone
KEY_TYPES: Final = ("RSA", "EC", "OKP")
SCOPE: Final = "openid email profile"
JSON: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "sendryd"}
FORM: Final = "application/x-www-form-urlencoded"


class ProviderFailed(Exception):
    """The provider did not answer, or not as the standards say; the message is for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """How the relay is known to the provider."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)  # empty: a public client, which PKCE alone protects
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Description:
    """What the provider says of itself."""

    authorization: str
    token: str
    keys: str
    userinfo: str  # empty: it has none
    takes_basic: bool  # whether the secret goes into a field of the request, else into its form
    names_itself: bool  # whether each of its answers names the issuer


class Provider:
    """One identity provider."""

    def __init__(self, client: Client, http: HttpExchanger, clock: Clock) -> None:
        self._client = client
        self._http = http
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._description: _Description | None = None
        self._described_at = 0.0
        self._failed_at: float | None = None
        self._keys: Sequence[Mapping[str, Any]] = ()
        self._keys_at: float | None = None

    @property
    def name(self) -> str:
        """The provider's host, as people know it."""
        return urlsplit(self._client.issuer).hostname or ""

    async def authorization_url(self, *, state: str, nonce: str, verifier: str, is_again: bool) -> str:
        """Where the browser goes to sign in; with `is_again` the provider asks its user again. Raises `ProviderFailed`."""
        description = await self._describe()
        query = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": to_base64url(hashlib.sha256(verifier.encode("ascii")).digest()),
            "code_challenge_method": "S256",
            **({"prompt": "login", "max_age": str(FRESH)} if is_again else {}),
        }
        separator = "&" if urlsplit(description.authorization).query else "?"
        return f"{description.authorization}{separator}{urlencode(query)}"

    async def check_issuer(self, issuer: str | None) -> None:
        """Whether an answer by the browser is this provider's, as far as the answer says (RFC 9207). Raises `ProviderFailed`, `TokenRefused`."""
        if issuer is None and (await self._describe()).names_itself:
            raise TokenRefused("the answer does not name its issuer, as this provider's do")
        if issuer is not None and issuer != self._client.issuer:
            raise TokenRefused("the answer is of another issuer")

    async def identify(self, code: str, *, nonce: str, verifier: str) -> Identity:
        """Who signs in, for the code that the browser brought. Raises `ProviderFailed`, `TokenRefused`."""
        description = await self._describe()
        answer = await self._exchange_code(description, code, verifier)
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str) or len(token) > MAX_TOKEN:
            raise ProviderFailed("the token endpoint gave no ID token")
        claims = await self._decode(description, token)
        expected = Expected(issuer=self._client.issuer, client_id=self._client.client_id, nonce=nonce)
        identity = read_claims(claims, expected, self._clock.now())
        if identity.email or not description.userinfo or not isinstance(access, str) or not _is_token(access):
            return identity
        info = await self._ask("GET", description.userinfo, {**JSON, "Authorization": f"Bearer {access}"})
        return add_userinfo(identity, info)

    async def _exchange_code(self, description: _Description, code: str, verifier: str) -> Mapping[str, Any]:
        client = self._client
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": client.redirect_uri, "code_verifier": verifier}
        headers = {**JSON, "Content-Type": FORM}
        if client.client_secret and description.takes_basic:  # RFC 6749 §2.3.1: both are encoded as a form first
            pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"
        else:
            form["client_id"] = client.client_id
            if client.client_secret:
                form["client_secret"] = client.client_secret
        return await self._ask("POST", description.token, headers, urlencode(form).encode("ascii"))

    async def _decode(self, description: _Description, token: str) -> Mapping[str, Any]:
        """The claims of a token that one of the provider's keys has signed."""
        for _ in range(2):
            try:
                return await asyncio.to_thread(_decode, token, await self._read_keys(description))
            except _NoSuchKey:
                await self._forget_keys()
        raise TokenRefused("the provider has no key that signed the token")

    async def _read_keys(self, description: _Description) -> Sequence[Mapping[str, Any]]:
        async with self._fetching:
            if self._keys_at is None or self._clock.monotonic() - self._keys_at > KEPT:
                found = (await self._ask("GET", description.keys, JSON)).get("keys")
                if not isinstance(found, list):
                    raise ProviderFailed("the provider's keys are no list")
                self._keys = [each for each in found[:MAX_KEYS] if isinstance(each, dict) and each.get("kty") in KEY_TYPES]
                self._keys_at = self._clock.monotonic()
            return self._keys

    async def _forget_keys(self) -> None:
        """The next reader fetches the keys again, but not more often than is decent."""
        async with self._fetching:
            if self._keys_at is not None and self._clock.monotonic() - self._keys_at > PAUSE:
                self._keys_at = None

    async def _describe(self) -> _Description:
        async with self._fetching:
            now = self._clock.monotonic()
            if self._description is not None and now - self._described_at <= KEPT:
                return self._description
            if self._failed_at is not None and now - self._failed_at < PAUSE:
                raise ProviderFailed("the provider failed moments ago")
            try:
                self._description = self._read_description(await self._ask("GET", f"{self._client.issuer.rstrip('/')}{WELL_KNOWN}", JSON))
            except ProviderFailed:
                self._failed_at = self._clock.monotonic()
                raise
            self._described_at = self._clock.monotonic()
            return self._description

    def _read_description(self, found: Mapping[str, Any]) -> _Description:
        if found.get("issuer") != self._client.issuer:
            raise ProviderFailed("the provider calls itself by another issuer than SENDRYD_OIDC_ISSUER: write it exactly as it does")
        methods = found.get("token_endpoint_auth_methods_supported")
        return _Description(
            authorization=self._endpoint(found, "authorization_endpoint"),
            token=self._endpoint(found, "token_endpoint"),
            keys=self._endpoint(found, "jwks_uri"),
            userinfo=self._endpoint(found, "userinfo_endpoint") if "userinfo_endpoint" in found else "",
            takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        )

    def _endpoint(self, found: Mapping[str, Any], name: str) -> str:
        url = found.get(name)
        if not isinstance(url, str) or len(url) > MAX_URL or not url.isprintable() or " " in url:
            raise ProviderFailed(f"the provider's {name} is no URL")
        try:
            parts, issuer = urlsplit(url), urlsplit(self._client.issuer)
        except ValueError:
            raise ProviderFailed(f"the provider's {name} is no URL") from None
        if parts.fragment or (parts.scheme != "https" and (parts.scheme, parts.netloc) != (issuer.scheme, issuer.netloc)):
            raise ProviderFailed(f"the provider's {name} is not an https URL")
        return url

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Mapping[str, Any]:
        """The JSON object that the provider answers. Raises `ProviderFailed`."""
        host = urlsplit(url).netloc
        try:
            answer = await self._http.exchange(method, url, headers=headers, body=body, max_size=MAX_SIZE)
        except HttpFault as error:
            raise ProviderFailed(f"{host}: {error}") from error
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        if answer.status != 200 or not isinstance(found, dict):
            fault = found.get("error") if isinstance(found, dict) else "no JSON object"
            raise ProviderFailed(f"{host} answered {answer.status}: {str(fault)[:100]!r}")
        return found


WELL_KNOWN: Final = "/.well-known/openid-configuration"


class _NoSuchKey(Exception):
    """None of the keys has signed the token."""


def _decode(token: str, keys: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The claims of a signed token. The library is loaded here, with the first token, in a thread."""
    from joserfc import jwt
    from joserfc.errors import BadSignatureError, JoseError
    from joserfc.jwk import JWKRegistry

    kid = _read_kid(token)
    for each in keys:
        if each.get("use", "sig") != "sig" or (kid is not None and each.get("kid", kid) != kid):
            continue
        try:
            return jwt.decode(token, JWKRegistry.import_key(dict(each)), algorithms=list(ALGORITHMS)).claims
        except BadSignatureError:
            if kid is not None and each.get("kid") == kid:
                raise TokenRefused("the signature of the token is wrong") from None
        except (JoseError, ValueError, TypeError) as error:
            if kid is not None and each.get("kid") == kid:
                raise TokenRefused(f"the token cannot be checked: {type(error).__name__}") from error
    raise _NoSuchKey


def _read_kid(token: str) -> str | None:
    """The id of the key that a token names. Raises `TokenRefused` for what is no token, or not signed as it has to be."""
    try:
        header = json.loads(from_base64url(token.partition(".")[0]))
        algorithm, kid = header["alg"], header.get("kid")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TokenRefused("the ID token cannot be read") from None
    if algorithm not in ALGORITHMS:
        raise TokenRefused("the token is not signed with a public key")
    return kid if isinstance(kid, str) else None


def _is_token(text: str) -> bool:
    """Whether a text can stand in a field of a request (RFC 6750 §2.1)."""
    return text.isascii() and text.isprintable() and " " not in text
