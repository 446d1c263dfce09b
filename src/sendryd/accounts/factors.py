"""The second factor: codes of an authenticator app, and recovery codes.

The app's secret is stored encrypted with a key that is derived from a secret of the installation, bound to its person. Of recovery codes only the
SHA-256 is stored. A code works once.
Standards: RFC 6238 (TOTP: SHA-1, six digits, 30 s).
"""

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import datetime
from typing import Final

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sendryd.accounts.account import Accounts
from sendryd.accounts.audit import Audit, Client
from sendryd.model.ids import AccountId, PersonId
from sendryd.model.people import PersonRecord, SignInMethod
from sendryd.runtime.clock import Clock
from sendryd.runtime.rand import Rand
from sendryd.store.base import SignedIn, Store
from sendryd.store.errors import NotAllowed

STEP: Final = 30  # seconds that a code is shown
SKEW: Final = 1  # steps that a phone's clock may differ
RECOVERY_CODES: Final = 10
RECOVERY_LENGTH: Final = 16  # letters of base 32: 80 bits
KEY_NAME: Final = "people"  # of the installation's secret
SECRET_LENGTH: Final = 43  # letters and digits: 256 bits
SECRET_LETTERS: Final = 32  # of base 32: 160 bits
NONCE_LENGTH: Final = 16  # letters and digits: 95 bits
ISSUER: Final = "sendryd"


class WrongCode(Exception):
    """The code is not the one of now, or was used before."""


class Factors:
    """Second factors of people."""

    def __init__(self, store: Store, *, clock: Clock, rand: Rand, audit: Audit) -> None:
        self._store = store
        self._clock = clock
        self._rand = rand
        self._audit = audit
        self._key: bytes | None = None

    def propose(self) -> str:
        """A new secret for an app, in base 32. It is stored by `turn_on` alone."""
        return base64.b32encode(hashlib.sha256(self._rand.secret(SECRET_LENGTH).encode("ascii")).digest()[:20]).decode("ascii")

    @staticmethod
    def uri(secret: str, email: str, issuer: str = ISSUER) -> str:
        """What an app reads from the QR code: `otpauth://totp/…`."""
        return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)

    async def turn_on(self, signed_in: SignedIn, secret: str, code: str, *, client: Client) -> list[str]:
        """Stores the secret once the app has shown a right code; gives the recovery codes, which are shown once.

        Raises `WrongCode`, `Changed`, and `ValueError` for a secret that `propose` has not made.
        """
        person = signed_in.person
        if len(secret) != SECRET_LETTERS:
            raise ValueError("this secret was not proposed here")
        step = _matching_step(secret, _digits(code), self._clock.now())
        if step is None:
            raise WrongCode
        changed = replace(person, totp_secret=await self._seal(person.id, secret), totp_step=step)
        account_id = signed_in.membership.account_id
        codes = [self._recovery_code() for _ in range(RECOVERY_CODES)]
        await self._store.change_person(
            person, changed, self._audit.entry(account_id, person.email, client, "person.factor_added", person.email)
        )
        await self._store.replace_recovery_codes(person.id, [_hash_code(person.id, each) for each in codes])
        await self._store.end_sessions(person.id, keep=signed_in.session.id_hash)
        return codes

    async def turn_off(self, signed_in: SignedIn, *, client: Client) -> None:
        """Forgets the secret and the recovery codes. Raises `Changed`, and `NotAllowed` if the account requires a second factor."""
        person = signed_in.person
        if await self.is_required(signed_in.membership.account_id):
            raise NotAllowed("the account requires a second factor")
        entry = self._audit.entry(signed_in.membership.account_id, person.email, client, "person.factor_removed", person.email)
        await self._store.change_person(person, replace(person, totp_secret="", totp_step=0), entry)
        await self._store.replace_recovery_codes(person.id, [])

    async def require(self, signed_in: SignedIn, *, required: bool, client: Client) -> None:
        """Says whether all people of the account need a second factor. Raises `NotAllowed` unless the person has one."""
        person, account_id = signed_in.person, signed_in.membership.account_id
        if required and not person.totp_secret and signed_in.session.method is not SignInMethod.PASSKEY:
            raise NotAllowed("whoever requires a second factor needs one first")
        await Accounts(self._store).change(account_id, lambda settings: replace(settings, requires_factor=required))
        await self._audit.add(account_id, person.email, client, "account.factor_required", "", after={"required": required})

    async def is_required(self, account_id: AccountId) -> bool:
        """Whether all people of the account need a second factor."""
        return (await Accounts(self._store).get(account_id)).settings.requires_factor

    async def renew_recovery_codes(self, signed_in: SignedIn, *, client: Client) -> list[str]:
        """New recovery codes; the earlier ones end."""
        person = signed_in.person
        codes = [self._recovery_code() for _ in range(RECOVERY_CODES)]
        await self._store.replace_recovery_codes(person.id, [_hash_code(person.id, each) for each in codes])
        await self._audit.add(signed_in.membership.account_id, person.email, client, "person.recovery_codes_renewed", person.email)
        return codes

    async def count_recovery_codes(self, person_id: PersonId) -> int:
        """Unused ones."""
        return await self._store.count_recovery_codes(person_id)

    async def check(self, person: PersonRecord, code: str) -> bool:
        """Whether the code is right; it is used up then."""
        digits = _digits(code)
        if len(digits) == pyotp.TOTP("A" * 32).digits and digits.isascii() and digits.isdigit():
            secret = await self._unseal(person)
            step = _matching_step(secret, digits, self._clock.now()) if secret else None
            return step is not None and await self._store.use_totp_step(person.id, step)
        return await self._store.use_recovery_code(person.id, _hash_code(person.id, code), self._clock.now())

    def _recovery_code(self) -> str:
        letters = base64.b32encode(hashlib.sha256(self._rand.secret(SECRET_LENGTH).encode("ascii")).digest()).decode("ascii")
        code = letters[:RECOVERY_LENGTH].lower()
        return "-".join(code[at : at + 4] for at in range(0, RECOVERY_LENGTH, 4))

    async def _seal(self, person_id: PersonId, secret: str) -> str:
        nonce = self._rand.secret(NONCE_LENGTH).encode("ascii")
        sealed = AESGCM(await self._read_key()).encrypt(nonce, secret.encode("ascii"), _bound_to(person_id))
        return base64.urlsafe_b64encode(nonce + sealed).decode("ascii")

    async def _unseal(self, person: PersonRecord) -> str:
        """The secret; empty if it cannot be read: then only recovery codes work."""
        try:
            octets = base64.urlsafe_b64decode(person.totp_secret)
            opened = AESGCM(await self._read_key()).decrypt(octets[:NONCE_LENGTH], octets[NONCE_LENGTH:], _bound_to(person.id))
        except (InvalidTag, ValueError):
            return ""
        return opened.decode("ascii")

    async def _read_key(self) -> bytes:
        if self._key is None:
            installation = await self._store.ensure_secret(KEY_NAME, self._rand.secret(SECRET_LENGTH).encode("ascii"))
            self._key = HKDF(SHA256(), 32, salt=None, info=b"sendryd second factor").derive(installation)
        return self._key


def _bound_to(person_id: PersonId) -> bytes:
    return f"person {int(person_id)}".encode("ascii")


def _digits(code: str) -> str:
    """The code without the spaces that apps show in it."""
    return "".join(code.split())


def _matching_step(secret: str, digits: str, now: datetime) -> int | None:
    """The step whose code it is, if it is one of now; all are compared, so that the time tells nothing."""
    totp, current = pyotp.TOTP(secret), int(now.timestamp()) // STEP
    matching = None
    for step in range(current - SKEW, current + SKEW + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode("ascii"), digits.encode("utf-8", "replace")):
            matching = step
    return matching


def _hash_code(person_id: PersonId, code: str) -> bytes:
    letters = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(f"{int(person_id)} {letters}".encode("utf-8", "replace")).digest()
