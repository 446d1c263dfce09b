"""Signing in: passwords, the second step, sessions.

Of a session's secret only the SHA-256 is stored: whoever reads the database cannot use it.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sendryd.accounts.audit import Audit, Client
from sendryd.accounts.factors import Factors
from sendryd.model.ids import AccountId
from sendryd.model.people import PasskeyUse, PersonRecord, Session, SignInMethod, SpentChallenge
from sendryd.policy.address_key import normalise_address
from sendryd.policy.password import MIN_OCTETS, check_password
from sendryd.policy.signin import SignInThrottle
from sendryd.runtime.clock import Clock
from sendryd.runtime.passwords import Passwords, PasswordsBusy, common_passwords
from sendryd.runtime.rand import Rand
from sendryd.store.base import SignedIn, Store

SECRET_LENGTH: Final = 43  # letters and digits: 256 bits
MAX_AGENT: Final = 200  # characters of a User-Agent that are kept
IDLE_TIME: Final = timedelta(days=14)  # a session ends after it
MAX_SESSION: Final = timedelta(days=90)
CODE_TIME: Final = timedelta(minutes=10)  # between the password and the second step
SEEN_INTERVAL: Final = timedelta(minutes=1)  # between notes that a session is in use: one write a minute for each person
ELEVATION_TIME: Final = timedelta(minutes=15)


class SignInFailed(Exception):
    """The email, the password or the code is wrong. One text for every cause."""


class SignInThrottled(Exception):
    """Too many failures; `seconds` until the next try is looked at."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many failures: {seconds:.0f} s to wait")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session, and the cookie's value that only the browser gets to know."""

    secret: str
    session: Session
    email: str  # the person's


class SignIn:
    """Starts, finds and ends sessions."""

    def __init__(self, store: Store, *, clock: Clock, rand: Rand, audit: Audit, passwords: Passwords, factors: Factors) -> None:
        self._store = store
        self._clock = clock
        self._rand = rand
        self._audit = audit
        self._throttle = SignInThrottle()
        self.passwords = passwords
        self.factors = factors

    async def sign_in(self, email: str, password: str, *, client: Client, is_known_device: bool = False) -> NewSession:
        """Checks a password and starts a session, which is complete unless the person has a second factor.

        Raises `SignInFailed`, `SignInThrottled`, `PasswordsBusy`.
        """
        email = normalise_address(email.strip().encode("utf-8", "replace").decode())
        person = await self._store.find_person(email)
        is_right = await self._verify(person.password_hash if person else "", password, email, client, is_known_device=is_known_device)
        memberships = await self._store.list_accounts_of(person.id) if person and is_right else []
        if person is None or not memberships or person.disabled_at is not None:
            if person is not None:
                for each in await self._store.list_accounts_of(person.id):
                    await self._audit.add(each.account_id, email, client, "person.sign_in_failed", email)
            raise SignInFailed
        self._throttle.succeed(client.address, email)
        if self.passwords.is_outdated(person.password_hash):
            renewed = replace(person, password_hash=await self.passwords.hash(password))
            await self._store.change_person(
                person, renewed, self._audit.entry(memberships[0].account_id, email, client, "person.password_rehashed", email)
            )
        return await self.start(person, memberships[0].account_id, client)

    async def finish(self, secret: str, code: str, *, client: Client) -> NewSession:
        """The second step: a code completes the sign-in and the session gets another secret.

        Raises `SignInFailed`, `SignInThrottled`, `LookupError` if no session waits for a code.
        """
        waiting = await self.find_waiting(secret)
        if waiting is None:
            raise LookupError("no session waits for a code")
        person, account_id = waiting.person, waiting.session.account_id
        name = f"code of {person.email}"  # counted by itself: a right password does not forgive wrong codes
        self.count_try(client, name)
        if not await self.factors.check(person, code):
            await self._audit.add(account_id, person.email, client, "person.code_failed", person.email)
            raise SignInFailed
        self.forget_tries(client, name)
        return await self.start(
            person, account_id, client, is_complete=True, replaces=waiting.session.id_hash, method=waiting.session.method
        )

    async def start(
        self,
        person: PersonRecord,
        account_id: AccountId,
        client: Client,
        *,
        is_complete: bool | None = None,
        replaces: bytes | None = None,
        method: SignInMethod = SignInMethod.PASSWORD,
        spends: SpentChallenge | None = None,
        passkey: PasskeyUse | None = None,
        is_fresh: bool = True,
    ) -> NewSession:
        """Starts a session for somebody who has shown who they are; unless `is_complete` says otherwise, those with a second factor show it next.

        Without `is_fresh` changes that do much harm ask for a proof first.
        Raises `Changed` if the challenge was spent before, or the passkey cannot be used.
        """
        secret, now = self._rand.secret(SECRET_LENGTH), self._clock.now()
        is_complete = not await self._has_second_step(person, account_id) if is_complete is None else is_complete
        session = Session(
            id_hash=hash_secret(secret),
            person_id=person.id,
            account_id=account_id,
            created_at=now,
            seen_at=now,
            address=client.address,
            agent=client.agent[:MAX_AGENT],
            is_complete=is_complete,
            elevated_until=now + ELEVATION_TIME if is_complete and is_fresh else None,
            method=method,
        )
        after = {"by": method.value}
        entry = self._audit.entry(account_id, person.email, client, "person.signed_in", person.email, after=after) if is_complete else None
        await self._store.start_session(session, entry, replaces=replaces, spends=spends, passkey=passkey)
        return NewSession(secret=secret, session=session, email=person.email)

    async def find_session(self, secret: str) -> SignedIn | None:
        """The session of a cookie that still counts, complete or not; notes once a minute that it is in use."""
        found = await self._store.find_session(hash_secret(secret))
        now = self._clock.now()
        if found is None or now - found.session.seen_at > IDLE_TIME or now - found.session.created_at > MAX_SESSION:
            return None
        if now - found.session.seen_at >= SEEN_INTERVAL and found.session.is_complete:
            await self._store.touch_session(found.session.id_hash, now)
        return found

    async def find_waiting(self, secret: str) -> SignedIn | None:
        """The session of a cookie that waits for the second step, for ten minutes."""
        found = await self._store.find_session(hash_secret(secret))
        if found is None or found.session.is_complete or self._clock.now() - found.session.created_at > CODE_TIME:
            return None
        return found

    async def sign_out(self, secret: str) -> None:
        """Ends the session of a cookie."""
        await self._store.end_session(hash_secret(secret))

    async def list_sessions(self, signed_in: SignedIn) -> list[Session]:
        """The person's sessions that still count, the latest seen first."""
        oldest = self._clock.now() - IDLE_TIME
        return [each for each in await self._store.list_sessions(signed_in.person.id) if each.is_complete and each.seen_at > oldest]

    async def end_one(self, signed_in: SignedIn, id_hash: bytes, *, client: Client) -> None:
        """Ends one of the person's own sessions; another person's stays."""
        if id_hash in {each.id_hash for each in await self._store.list_sessions(signed_in.person.id)}:
            await self._store.end_session(id_hash)
            await self._note_ended(signed_in, client, 1)

    async def end_others(self, signed_in: SignedIn, *, client: Client) -> int:
        """Ends the person's other sessions; gives their number."""
        ended = await self._store.end_sessions(signed_in.person.id, keep=signed_in.session.id_hash)
        await self._note_ended(signed_in, client, ended)
        return ended

    def is_elevated(self, signed_in: SignedIn) -> bool:
        """Whether the person has proved within 15 minutes who they are."""
        until = signed_in.session.elevated_until
        return until is not None and self._clock.now() < until

    async def elevate(self, signed_in: SignedIn, proof: str, *, client: Client) -> None:
        """The person proves again who they are, by the password or, with a second factor, a code. Raises `SignInFailed`, `SignInThrottled`,
        `PasswordsBusy`.
        """
        if signed_in.person.totp_secret and len(proof) < MIN_OCTETS:  # no password is as short as the code of an app
            await self._prove_by_code(signed_in, proof, client)
        else:
            await self._prove(signed_in, proof, client)
        await self.elevate_now(signed_in)

    async def elevate_now(self, signed_in: SignedIn, *, spends: SpentChallenge | None = None, passkey: PasskeyUse | None = None) -> None:
        """The person has proved who they are. Raises `Changed` as `start` does."""
        until = self._clock.now() + ELEVATION_TIME
        await self._store.elevate_session(signed_in.session.id_hash, until, spends=spends, passkey=passkey)

    def count_try(self, client: Client, name: str) -> None:
        """Counts a try to sign in as a failure, until `forget_tries`, so that tries at the same moment count, too. Raises `SignInThrottled`."""
        now = self._clock.monotonic()
        wait = self._throttle.wait(client.address, name, now)
        if wait > 0:
            raise SignInThrottled(wait)
        self._throttle.fail(client.address, name, now)

    def forget_tries(self, client: Client, name: str) -> None:
        """A try was right."""
        self._throttle.succeed(client.address, name)

    async def change_password(self, signed_in: SignedIn, old: str, new: str, *, client: Client) -> None:
        """Changes the password and signs the person out elsewhere.

        Raises `SignInFailed`, `SignInThrottled`, `WeakPassword`, `PasswordsBusy`, `Changed`.
        """
        person = signed_in.person
        await self._prove(signed_in, old, client)
        check_password(new, person.email, common_passwords())
        changed = replace(person, password_hash=await self.passwords.hash(new))
        entry = self._audit.entry(signed_in.membership.account_id, person.email, client, "person.password_changed", person.email)
        await self._store.change_person(person, changed, entry)
        await self._store.end_sessions(person.id, keep=signed_in.session.id_hash)

    async def _has_second_step(self, person: PersonRecord, account_id: AccountId) -> bool:
        """Whether a password alone does not let the person in. Where a second factor is required, a passkey is one: its person signs in with it."""
        if person.totp_secret:
            return True
        return await self.factors.is_required(account_id) and bool(await self._store.list_passkeys(person.id))

    async def _prove_by_code(self, signed_in: SignedIn, code: str, client: Client) -> None:
        person, now = signed_in.person, self._clock.monotonic()
        wait = self._throttle.wait(client.address, person.email, now, is_known_device=True)
        if wait > 0:
            raise SignInThrottled(wait)
        self._throttle.fail(client.address, person.email, now)
        if not await self.factors.check(person, code):
            raise SignInFailed
        self._throttle.succeed(client.address, person.email)

    async def _prove(self, signed_in: SignedIn, password: str, client: Client) -> None:
        person = signed_in.person
        if not await self._verify(person.password_hash, password, person.email, client, is_known_device=True):
            raise SignInFailed
        self._throttle.succeed(client.address, person.email)

    async def _verify(self, encoded: str, password: str, email: str, client: Client, *, is_known_device: bool) -> bool:
        """Whether the password is right. The try counts as a failure until it has succeeded, so that tries at the same moment count, too."""
        now = self._clock.monotonic()
        wait = self._throttle.wait(client.address, email, now, is_known_device=is_known_device)
        if wait > 0:
            raise SignInThrottled(wait)
        self._throttle.fail(client.address, email, now)
        try:
            return await self.passwords.verify(encoded, password)
        except PasswordsBusy:
            self._throttle.forgive(client.address, email)
            raise

    async def _note_ended(self, signed_in: SignedIn, client: Client, ended: int) -> None:
        person = signed_in.person
        after = {"sessions": ended}
        await self._audit.add(signed_in.membership.account_id, person.email, client, "person.sessions_ended", person.email, after=after)


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a cookie's or link's secret, which has 256 bits of its own and needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
