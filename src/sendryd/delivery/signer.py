"""DKIM for what goes out: keys loaded once, each content signed once, elsewhere than in the event loop's thread.

Reads: sending domains and their private keys.
Strategy: a few signatures at a time are computed in threads. When more are asked for at once, a process of its own takes them over, which
costs some memory and saves the threads' struggle for the interpreter lock; large contents stay with the threads, which need no copy.
When things fail: what the process does not sign is signed in a thread, and another process is tried later. A domain that was removed since
the message was accepted has no key until a domain of that name is verified again; `SigningKeyMissing` says so. `SigningKeyDamaged` says that
there is one and it cannot be read, until the row is repaired.
"""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sendryd.delivery.signing_link import SigningLink, SigningProcessLost
from sendryd.message.dkim import load_private_key, sign
from sendryd.message.headers import HeaderBlock
from sendryd.model.domain import SendingDomain, TlsPolicy
from sendryd.model.ids import DOMAIN_PREFIX, DomainId, MessageId, format_id
from sendryd.policy.dnsrecords import own_return_path
from sendryd.policy.routing import SmartHost
from sendryd.policy.smarthost import parse_smart_host, smart_host_lane
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.offload import LARGE
from sendryd.store.base import AccountStore
from sendryd.store.errors import RowUnreadable

THREADS: Final = 2  # RSA gives up the interpreter lock; more than the usual two cores would only wait for one another
CHECK_INTERVAL: Final = 0.25  # seconds between looks whether a domain or key has changed; a change is promised to be seen within one
TIME_INTERVAL: Final = 1.0  # seconds for which the time of signatures stays the same: they have whole seconds
MAX_KEYS: Final = 1000
MAX_SIGNATURES: Final = 256  # of messages in flight to several domains
MANY: Final = 5  # signatures asked for at once that are worth a process
RESTART_PAUSE: Final = 60.0  # seconds before another process is tried: one that cannot run must not be started for every message

log = get_logger("delivery")

SignedForm = tuple[MessageId, int]  # a message as stored, and the form in which it goes out


class SigningKeyMissing(Exception):
    """The domain that was to sign is gone, and no verified domain has its name."""


class SigningKeyDamaged(Exception):
    """The row of the domain that is to sign cannot be read, or its key is none."""

    def __init__(self, domain_id: DomainId, reason: str) -> None:
        super().__init__("the row of its sending domain in the database is damaged")
        self.domain = format_id(DOMAIN_PREFIX, domain_id)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs for a domain, and what delivery insists on for its mail."""

    domain: str
    selector: str
    key: RSAPrivateKey
    pem: bytes = field(repr=False)
    tls_policy: TlsPolicy
    return_path: str  # the domain of its own return paths, once its records are found; empty: none
    smart_host: SmartHost | None  # its own, or its account's
    lane: str  # of its smart host; empty: it has none
    pool: str  # the address pool that the domain names; empty: none
    number: int  # no two alike, so that a process that knows a key by it never signs with an older one


class Signer:
    """Signs contents."""

    def __init__(
        self,
        store: AccountStore,
        clock: Clock,
        *,
        check_interval: float = CHECK_INTERVAL,
        max_keys: int = MAX_KEYS,
        max_signatures: int = MAX_SIGNATURES,
        start_process: Callable[[], Awaitable[SigningLink]] = SigningLink.start,
    ) -> None:
        self._store = store
        self._clock = clock
        self._check_interval = check_interval
        self._max_keys = max_keys
        self._max_signatures = max_signatures
        self._start_process = start_process
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="dkim")
        self._keys: dict[DomainId, SigningKey] = {}
        self._signatures: OrderedDict[SignedForm, bytes] = OrderedDict()
        self._version = -1
        self._checked = float("-inf")
        self._seconds, self._timed = 0, float("-inf")  # of the last signature, and when it was read, in monotonic seconds
        self._numbers = itertools.count(1)
        self._link: SigningLink | None = None
        self._next_start = float("-inf")
        self._under_way = 0
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Signer {len(self._keys)} keys>"

    @property
    def process(self) -> int | None:
        """The process that signs, if there is one."""
        return self._link.pid if self._link is not None else None

    async def key(self, domain_id: DomainId) -> SigningKey:
        """The key of a sending domain; of a removed one, that of the verified domain that has its name now. Raises `SigningKeyMissing` and
        `SigningKeyDamaged`.
        """
        now = self._clock.monotonic()
        if now - self._checked >= self._check_interval:
            version = await self._store.read_config_version()
            if version != self._version or len(self._keys) > self._max_keys:
                self._keys.clear()
                self._version = version
            self._checked = now
        found = self._keys.get(domain_id)
        if found is None:
            version_before = self._version
            try:
                found = await self._load(domain_id)
            except (RowUnreadable, TypeError, ValueError) as error:
                raise SigningKeyDamaged(domain_id, str(error)) from error
            if self._version == version_before:  # else it may be older than what is known
                self._keys[domain_id] = found
        return found

    async def _load(self, domain_id: DomainId) -> SigningKey:
        domain = await self._store.get_domain(domain_id)
        if domain is None:
            successor = await self._store.find_successor(domain_id)
            domain = await self._store.get_domain(successor) if successor is not None else None
        pem = await self._store.read_private_key(domain.id) if domain is not None else None
        if domain is None or pem is None:
            raise SigningKeyMissing("its sending domain was removed")
        key = load_private_key(pem)
        smart_host, url = await self._smart_host(domain)
        return SigningKey(
            domain=domain.name,
            selector=domain.selector,
            key=key,
            pem=pem,
            tls_policy=domain.settings.tls_policy,
            return_path=own_return_path(domain),
            smart_host=smart_host,
            lane=smart_host_lane(url, domain.account_id),
            pool=domain.settings.pool,
            number=next(self._numbers),
        )

    async def _smart_host(self, domain: SendingDomain) -> tuple[SmartHost | None, str]:
        """The domain's own smart host, else its account's, with the password; and its URL without it. Raises `ValueError` if it cannot be read."""
        url, may_be_private = domain.settings.smarthost, domain.settings.smarthost_may_be_private
        if url:
            password = await self._store.read_smarthost_password(domain.id)
        else:
            account = await self._store.get_account(domain.account_id)
            if account is None or not account.settings.smarthost.url:
                return None, ""
            named = account.settings.smarthost
            url, password, may_be_private = named.url, named.password, named.may_be_private
        found = parse_smart_host(url)
        if found is None:
            return None, ""
        credentials = (found.credentials[0], password) if found.credentials is not None else None
        return replace(found, credentials=credentials, may_be_private=may_be_private), url

    def find(self, form: SignedForm) -> bytes | None:
        """The DKIM-Signature field of a content that was signed a while ago, if it is still known."""
        return self._signatures.get(form)

    async def sign(self, key: SigningKey, content: bytes, form: SignedForm | None) -> bytes:
        """The DKIM-Signature field of a content, to be put in front of it. `form` says which content it is, so that it is signed once for all
        domains that it goes to; None for a recipient's own copy.
        """
        cached = self._signatures.get(form) if form is not None else None
        if cached is not None:
            return cached
        now = self._time()
        self._under_way += 1
        try:
            signature = await self._compute(key, content, now)
        finally:
            self._under_way -= 1
        if form is not None:
            self._signatures[form] = signature
            if len(self._signatures) > self._max_signatures:
                self._signatures.popitem(last=False)
        return signature

    def _time(self) -> int:
        """Settled time in seconds, or that of less than a second ago: a time to come makes some receivers refuse the signature."""
        now = self._clock.monotonic()
        if now - self._timed >= TIME_INTERVAL:
            self._seconds, self._timed = int(self._clock.settled().timestamp()), now
        return self._seconds

    async def _compute(self, key: SigningKey, content: bytes, now: int) -> bytes:
        if len(content) <= LARGE:  # a larger one is not copied to another process
            link = self._link or (await self._start() if self._under_way >= MANY else None)
            if link is not None:
                try:
                    return await link.sign(key.number, lambda: (key.domain, key.selector, key.pem), content, now)
                except SigningProcessLost as error:
                    self._lose(link, error)
        return await asyncio.get_running_loop().run_in_executor(self._threads, _sign, content, key, now)

    async def _start(self) -> SigningLink | None:
        """A process, unless one was tried a moment ago."""
        now = self._clock.monotonic()
        if now < self._next_start:
            return None
        self._next_start = now + RESTART_PAUSE
        try:
            self._link = await self._start_process()
        except (OSError, RuntimeError) as error:  # no process, no memory, or no thread to start it from
            log.error("signing_process_not_started", error=repr(error))
        if self._is_closed:
            self.close()
        return self._link

    def _lose(self, link: SigningLink, error: SigningProcessLost) -> None:
        if not link.is_open and self._link is link:
            log.warning("signing_process_lost", reason=str(error))
            self._link = None

    def close(self) -> None:
        """Ends the threads and the process."""
        self._is_closed = True
        self._threads.shutdown(wait=False)
        if self._link is not None:
            self._link.close()


def _sign(content: bytes, key: SigningKey, now: int) -> bytes:
    headers = HeaderBlock.parse(content)
    return sign(content, headers=headers, domain=key.domain, selector=key.selector, key=key.key, now=now)
