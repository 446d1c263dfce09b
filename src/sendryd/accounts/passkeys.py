"""Passkeys: added by a signed-in person, then enough by themselves for signing in, since the device and what unlocks it are two factors.

A challenge is bound to the browser's cookie, lasts five minutes, and counts once: its hash is stored in the transaction of what it was answered for.
Standards: Web Authentication Level 3; discoverable credentials, user verification required.
"""

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sendryd.accounts.audit import Audit, Client
from sendryd.accounts.people import BadPersonField
from sendryd.accounts.signin import NewSession, SignIn, SignInFailed
from sendryd.model.ids import PERSON_PREFIX, PersonId, format_id
from sendryd.model.people import Passkey, PasskeyUse, SignInMethod, SpentChallenge
from sendryd.policy.base64url import to_base64url
from sendryd.policy.challenge import LIFETIME, Purpose, check_challenge, make_challenge
from sendryd.policy.weborigin import origin_of_page
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.passkeys import ALGORITHMS, Answer, PasskeyRefused, RelyingParty, check_new, check_use, read_answer
from sendryd.runtime.rand import Rand
from sendryd.store.base import SignedIn, Store
from sendryd.store.errors import Changed

MAX_PASSKEYS: Final = 20  # of a person: more than anybody has devices
MAX_NAME: Final = 60  # characters
CHANCE_LENGTH: Final = 43  # letters and digits: 256 bits
TIMEOUT: Final = int(LIFETIME.total_seconds() * 1000)  # milliseconds that the browser waits for its user

log = get_logger("passkeys")

Options = Mapping[str, Any]  # of `navigator.credentials`, with octets as base64url


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """A passkey that has answered a challenge of ours."""

    passkey: Passkey
    use: PasskeyUse
    spends: SpentChallenge
    counted_as: str  # by the throttle


class Passkeys:
    """Passkeys of people."""

    def __init__(self, store: Store, *, clock: Clock, rand: Rand, audit: Audit, signin: SignIn, secret: bytes, public_url: str) -> None:
        """`secret` is the installation's; `public_url` gives the origin, and its host the name that passkeys are bound to."""
        self._store = store
        self._clock = clock
        self._rand = rand
        self._audit = audit
        self._signin = signin
        self._secret = secret
        self._party = relying_party(public_url)

    @property
    def origin(self) -> str:
        """The only origin where passkeys work; empty: nowhere, for the public address has no name that they could be bound to."""
        return self._party.origin if self._party else ""

    async def list(self, person_id: PersonId) -> list[Passkey]:
        """A person's passkeys, oldest first."""
        return await self._store.list_passkeys(person_id)

    async def options_to_add(self, signed_in: SignedIn, browser: str) -> Options:
        """The options with which the browser makes a passkey (WebAuthn §5.4). `browser` is the secret in its cookie, here and below."""
        party, person = self._known_party(), signed_in.person
        known = await self._store.list_passkeys(person.id)
        return {
            "rp": {"id": party.id, "name": "sendryd"},
            "user": {"id": to_base64url(_handle(person.id)), "name": person.email, "displayName": person.name},
            "challenge": self._challenge(Purpose.ADD_PASSKEY, browser),
            "pubKeyCredParams": [{"type": "public-key", "alg": each} for each in ALGORITHMS],
            "timeout": TIMEOUT,
            "excludeCredentials": _descriptors(known),
            "authenticatorSelection": {"residentKey": "required", "requireResidentKey": True, "userVerification": "required"},
            "attestation": "none",
        }

    def options_to_sign_in(self, browser: str) -> Options:
        """The options with which the browser lets its user choose a passkey (WebAuthn §5.5)."""
        return self._options(Purpose.SIGN_IN, browser, [])

    async def options_to_elevate(self, signed_in: SignedIn, browser: str) -> Options:
        """The options with which the browser asks for one of the person's passkeys (WebAuthn §5.5)."""
        return self._options(Purpose.ELEVATE, browser, await self._store.list_passkeys(signed_in.person.id))

    async def add(self, signed_in: SignedIn, text: str, name: str, browser: str, *, client: Client) -> None:
        """Adds the passkey that the browser has made.

        Raises `BadPersonField` for the name, `PasskeyRefused`, `Conflict` for a passkey that is known, and `LimitReached`.
        """
        person, party, name = signed_in.person, self._known_party(), _name(name)
        answer = read_answer(text)
        spends = self._spend(answer, Purpose.ADD_PASSKEY, browser)
        made = await check_new(answer, answer.challenge, party)
        passkey = Passkey(
            credential_id=made.credential_id,
            person_id=person.id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            name=name,
            created_at=self._clock.now(),
        )
        entry = self._audit.entry(
            signed_in.membership.account_id, person.email, client, "person.passkey_added", person.email, after={"name": name}
        )
        try:
            await self._store.add_passkey(passkey, spends, entry, limit=MAX_PASSKEYS)
        except Changed as error:
            raise PasskeyRefused(str(error)) from error

    async def remove(self, signed_in: SignedIn, credential_id: bytes, *, client: Client) -> None:
        """Forgets one of the person's passkeys. Raises `NotFound`."""
        person = signed_in.person
        found = await self._store.find_passkey(credential_id)
        before = {"name": found.name} if found is not None and found.person_id == person.id else {}
        entry = self._audit.entry(
            signed_in.membership.account_id, person.email, client, "person.passkey_removed", person.email, before=before
        )
        await self._store.remove_passkey(person.id, credential_id, entry)

    async def sign_in(self, text: str, browser: str, *, client: Client, replaces: bytes | None = None) -> NewSession:
        """Starts a session by a passkey alone; it ends the session with the id hash `replaces`. Raises `SignInFailed`, `SignInThrottled`."""
        proof = await self._prove(text, Purpose.SIGN_IN, browser, client)
        person = await self._store.get_person(proof.passkey.person_id)
        memberships = await self._store.list_accounts_of(person.id) if person is not None else []
        if person is None or person.disabled_at is not None or not memberships:
            await self._refuse(proof.passkey, "the person is disabled, or in no account", client)
            raise SignInFailed
        try:
            made = await self._signin.start(
                person,
                memberships[0].account_id,
                client,
                is_complete=True,
                replaces=replaces,
                method=SignInMethod.PASSKEY,
                spends=proof.spends,
                passkey=proof.use,
            )
        except Changed as error:
            await self._refuse(proof.passkey, str(error), client)
            raise SignInFailed from error
        self._signin.forget_tries(client, proof.counted_as)
        return made

    async def elevate(self, signed_in: SignedIn, text: str, browser: str, *, client: Client) -> None:
        """The person proves by one of their passkeys who they are. Raises `SignInFailed`, `SignInThrottled`."""
        proof = await self._prove(text, Purpose.ELEVATE, browser, client)
        if proof.passkey.person_id != signed_in.person.id:
            await self._refuse(proof.passkey, "the passkey is not that of the person who is signed in", client)
            raise SignInFailed
        try:
            await self._signin.elevate_now(signed_in, spends=proof.spends, passkey=proof.use)
        except Changed as error:
            await self._refuse(proof.passkey, str(error), client)
            raise SignInFailed from error
        self._signin.forget_tries(client, proof.counted_as)

    async def _prove(self, text: str, purpose: Purpose, browser: str, client: Client) -> _Proof:
        """Checks an answer; it counts as a failed try until `forget_tries`.

        Raises `SignInThrottled`, and `SignInFailed` with the reason in the log and, for a passkey that is known, in the audit.
        """
        answer = _read(text)
        counted_as = "passkey" if answer is None else f"passkey {hashlib.sha256(answer.credential_id).hexdigest()}"
        self._signin.count_try(client, counted_as)
        passkey = await self._store.find_passkey(answer.credential_id) if answer else None
        if answer is None or passkey is None:
            log.info("passkey_refused", address=client.address, reason="no passkey has this credential id")
            raise SignInFailed
        try:
            use, spends = await self._check(answer, passkey, purpose, browser)
        except PasskeyRefused as error:
            await self._refuse(passkey, str(error), client)
            raise SignInFailed from error
        return _Proof(passkey=passkey, use=use, spends=spends, counted_as=counted_as)

    async def _check(self, answer: Answer, passkey: Passkey, purpose: Purpose, browser: str) -> tuple[PasskeyUse, SpentChallenge]:
        """What an answer proves. Raises `PasskeyRefused`."""
        if answer.user_handle != _handle(passkey.person_id) and (answer.user_handle or purpose is Purpose.SIGN_IN):
            raise PasskeyRefused("the answer does not name the passkey's person")
        spends = self._spend(answer, purpose, browser)
        count = await check_use(answer, answer.challenge, self._known_party(), public_key=passkey.public_key, sign_count=passkey.sign_count)
        return PasskeyUse(credential_id=passkey.credential_id, sign_count=count, used_at=self._clock.now()), spends

    async def _refuse(self, passkey: Passkey, reason: str, client: Client) -> None:
        log.info("passkey_refused", address=client.address, reason=reason)
        person = await self._store.get_person(passkey.person_id)
        if person is not None:
            for each in await self._store.list_accounts_of(person.id):
                await self._audit.add(each.account_id, person.email, client, "person.passkey_refused", person.email)

    def _spend(self, answer: Answer, purpose: Purpose, browser: str) -> SpentChallenge:
        expires = check_challenge(self._secret, purpose, browser, answer.challenge, now=self._clock.now())
        if expires is None:
            raise PasskeyRefused("the challenge has expired, or was made for another browser or purpose")
        return SpentChallenge(hash=hashlib.sha256(answer.challenge).digest(), expires_at=expires)

    def _options(self, purpose: Purpose, browser: str, allowed: Sequence[Passkey]) -> Options:
        return {
            "rpId": self._known_party().id,
            "challenge": self._challenge(purpose, browser),
            "timeout": TIMEOUT,
            "allowCredentials": _descriptors(allowed),
            "userVerification": "required",
        }

    def _challenge(self, purpose: Purpose, browser: str) -> str:
        chance = self._rand.secret(CHANCE_LENGTH)
        return to_base64url(make_challenge(self._secret, purpose, browser, now=self._clock.now(), chance=chance))

    def _known_party(self) -> RelyingParty:
        if self._party is None:
            raise PasskeyRefused("the public URL has no host name that passkeys could be bound to")
        return self._party


def relying_party(public_url: str) -> RelyingParty | None:
    """Who asks for passkeys, by the public URL; None if browsers make none for it.

    They need a name, not an address, and TLS, which they waive for `localhost`.

    >>> relying_party("https://mail.acme.example")
    RelyingParty(id='mail.acme.example', origin='https://mail.acme.example')
    >>> relying_party("http://127.0.0.1:8025"), relying_party("http://mail.acme.example")
    (None, None)
    """
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        is_local = host == "localhost" or host.endswith(".localhost")
        if host and (parts.scheme == "https" or is_local):
            return RelyingParty(id=host, origin=origin_of_page(public_url))
    return None


def _descriptors(passkeys: Sequence[Passkey]) -> list[dict[str, str]]:
    return [{"type": "public-key", "id": to_base64url(each.credential_id)} for each in passkeys]


def _handle(person_id: PersonId) -> bytes:
    """What names the person to authenticators: nothing about them (WebAuthn §14.6.1)."""
    return format_id(PERSON_PREFIX, person_id).encode("ascii")


def _read(text: str) -> Answer | None:
    try:
        return read_answer(text)
    except PasskeyRefused:
        return None


def _name(text: str) -> str:
    name = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if not name:
        raise BadPersonField("name", "Give the passkey a name, such as that of the device.")
    if len(name) > MAX_NAME:
        raise BadPersonField("name", f"The name is too long: take at most {MAX_NAME} characters.")
    return name
