"""DKIM for what goes out: keys loaded once, signatures computed in threads so that the event loop goes on, once for each content.

Reads: sending domains and their private keys.
When things fail: a domain that was removed since the message was accepted has no key any more; `SigningKeyMissing` says so.
"""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sendryd.message.dkim import load_private_key, sign
from sendryd.message.headers import HeaderBlock
from sendryd.model.domain import TlsPolicy
from sendryd.model.ids import DomainId, MessageId
from sendryd.runtime.clock import Clock
from sendryd.store.base import AccountStore

THREADS: Final = 2  # RSA gives up the interpreter lock; more than the usual two cores would only wait for one another
CHECK_INTERVAL: Final = 0.25  # seconds between looks whether a domain or key has changed; a change is promised to be seen within one
MAX_KEYS: Final = 1000
MAX_SIGNATURES: Final = 256  # of messages in flight to several domains


SignedForm = tuple[MessageId, bool]  # a message as stored, and whether it was brought within 7 bits


class SigningKeyMissing(Exception):
    """The domain that was to sign is gone."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs for a domain, and what delivery insists on for its mail."""

    domain: str
    selector: str
    key: RSAPrivateKey
    tls_policy: TlsPolicy


class Signer:
    """Signs contents."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="dkim")
        self._keys: dict[DomainId, SigningKey] = {}
        self._signatures: OrderedDict[SignedForm, bytes] = OrderedDict()
        self._version = -1
        self._checked = float("-inf")

    def __repr__(self) -> str:
        return f"<Signer {len(self._keys)} keys>"

    async def key(self, domain_id: DomainId) -> SigningKey:
        """The key of a sending domain. Raises `SigningKeyMissing`."""
        now = self._clock.monotonic()
        if now - self._checked >= CHECK_INTERVAL:
            version = await self._store.read_config_version()
            if version != self._version or len(self._keys) > MAX_KEYS:
                self._keys.clear()
                self._version = version
            self._checked = now
        found = self._keys.get(domain_id)
        if found is None:
            version_before = self._version
            domain = await self._store.get_domain(domain_id)
            pem = await self._store.read_private_key(domain_id)
            if domain is None or pem is None:
                raise SigningKeyMissing("the sending domain was removed after the message was accepted")
            key = load_private_key(pem)
            found = SigningKey(domain.name, domain.selector, key, domain.settings.tls_policy)
            if self._version == version_before:  # else it may be older than what is known
                self._keys[domain_id] = found
        return found

    async def sign(self, key: SigningKey, content: bytes, form: SignedForm | None) -> bytes:
        """The DKIM-Signature field of a content, to be put in front of it. `form` says which content it is, so that it is signed once for all
        domains that it goes to; None for a recipient's own copy.
        """
        cached = self._signatures.get(form) if form is not None else None
        if cached is not None:
            return cached
        now = int(self._clock.now().timestamp())
        field = await asyncio.get_running_loop().run_in_executor(self._threads, _sign, content, key, now)
        if form is not None:
            self._signatures[form] = field
            if len(self._signatures) > MAX_SIGNATURES:
                self._signatures.popitem(last=False)
        return field

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False)


def _sign(content: bytes, key: SigningKey, now: int) -> bytes:
    headers = HeaderBlock.parse(content)
    return sign(content, headers=headers, domain=key.domain, selector=key.selector, key=key.key, now=now)
