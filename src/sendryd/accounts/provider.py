"""Signing in by an identity provider of OpenID Connect, which the operator names.

Only an email that the provider has verified counts, and only that of a person who is here or invited: a token makes no member of a
stranger. The provider stands for the password: a second factor is asked for as after a password.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sendryd.accounts.audit import Audit, Client
from sendryd.accounts.people import BadPersonField, People, canonical_email
from sendryd.accounts.signin import NewSession, SignIn, SignInFailed
from sendryd.model.ids import AccountId
from sendryd.model.people import PersonRecord, SignInMethod, SpentChallenge
from sendryd.policy.base64url import to_base64url
from sendryd.policy.challenge import Purpose, check_challenge, derive_secret, make_challenge, read_challenge
from sendryd.policy.idtoken import Identity, TokenRefused
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.oidc import FRESH, Provider
from sendryd.runtime.rand import Rand
from sendryd.store.base import Store
from sendryd.store.errors import Changed, NotFound

LIFETIME: Final = timedelta(minutes=10)  # of a sign-in at the provider, where people may look for a password and a code
CHANCE_LENGTH: Final = 43  # letters and digits: 256 bits

log = get_logger("oidc")


class NotInvited(Exception):
    """The provider has verified an email that is of no person here, and not invited."""

    def __init__(self, email: str) -> None:
        super().__init__(email)
        self.email = email


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What the browser brings back from the provider."""

    state: str
    code: str
    issuer: str | None  # None: the answer names none


class ProviderSignIn:
    """Sends browsers to the provider, and signs in who comes back."""

    def __init__(
        self, store: Store, provider: Provider, *, clock: Clock, rand: Rand, audit: Audit, signin: SignIn, people: People, secret: bytes
    ) -> None:
        """`secret` is the installation's."""
        self._store = store
        self._provider = provider
        self._clock = clock
        self._rand = rand
        self._audit = audit
        self._signin = signin
        self._people = people
        self._secret = secret

    @property
    def name(self) -> str:
        """The provider's host."""
        return self._provider.name

    async def begin(self, browser: str, *, is_again: bool = False) -> str:
        """The URL at the provider for the browser whose cookie has the secret `browser`. With `is_again` the provider asks its user again.

        Raises `ProviderFailed`.
        """
        challenge = make_challenge(
            self._secret,
            Purpose.PROVIDER,
            browser,
            now=self._clock.now(),
            chance=self._rand.secret(CHANCE_LENGTH),
            lifetime=LIFETIME,
        )
        nonce, verifier = self._secrets(browser, challenge)
        return await self._provider.authorization_url(state=to_base64url(challenge), nonce=nonce, verifier=verifier, is_again=is_again)

    async def finish(self, browser: str, back: Return, *, client: Client, replaces: bytes | None = None) -> NewSession:
        """Signs in who comes back; it ends the session with the id hash `replaces`.

        Raises `SignInFailed`, `SignInThrottled`, `ProviderFailed`, `NotInvited`.
        """
        name = f"provider {client.address}"
        self._signin.count_try(client, name)
        challenge = read_challenge(back.state)
        expires = check_challenge(self._secret, Purpose.PROVIDER, browser, challenge, now=self._clock.now())
        try:
            if expires is None:
                raise TokenRefused("the state has expired, or was made for another browser")
            await self._provider.check_issuer(back.issuer)
            nonce, verifier = self._secrets(browser, challenge)
            identity = await self._provider.identify(back.code, nonce=nonce, verifier=verifier)
            person, account_id = await self._find(identity, client)
            spends = SpentChallenge(hash=hashlib.sha256(challenge).digest(), expires_at=expires)
            made = await self._signin.start(
                person,
                account_id,
                client,
                replaces=replaces,
                method=SignInMethod.PROVIDER,
                spends=spends,
                is_fresh=self._is_fresh(identity),
            )
        except (TokenRefused, Changed) as error:
            log.warning("provider_sign_in_refused", address=client.address, reason=str(error))
            raise SignInFailed from error
        self._signin.forget_tries(client, name)
        return made

    async def _find(self, identity: Identity, client: Client) -> tuple[PersonRecord, AccountId]:
        """The person with the identity's email, who takes up an invitation if that is what there is. Raises `TokenRefused`, `NotInvited`."""
        if not identity.email or not identity.is_verified:
            raise TokenRefused("the provider has not verified the email")
        try:
            email = canonical_email(identity.email)
        except BadPersonField:
            raise TokenRefused("the email of the token is no address") from None
        person = await self._store.find_person(email)
        if person is not None and person.disabled_at is not None:
            raise TokenRefused("the person is disabled")
        memberships = await self._store.list_accounts_of(person.id) if person is not None else []
        if person is not None and memberships:
            return person, memberships[0].account_id
        try:
            return await self._people.join_by_provider(email, identity.name, client=client)
        except NotFound:
            log.info("provider_sign_in_of_stranger", address=client.address)
            raise NotInvited(email) from None

    def _is_fresh(self, identity: Identity) -> bool:
        """Whether the person has just proved to the provider who they are; without it a session there may be days old."""
        at = identity.signed_in_at
        return at is not None and self._clock.now() - at < timedelta(seconds=FRESH)

    def _secrets(self, browser: str, challenge: bytes) -> tuple[str, str]:
        """Nonce and PKCE verifier of a sign-in. They are derived, so that nothing is stored while somebody is away."""
        return (
            derive_secret(self._secret, "nonce", browser, challenge),
            derive_secret(self._secret, "verifier", browser, challenge),
        )
