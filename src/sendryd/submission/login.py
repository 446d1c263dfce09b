"""The login of a submission session: its API key from AUTH, and the addresses that the key may send from (RFC 4954, RFC 6409 §6.1)."""

from collections.abc import Sequence

from sendryd.intake.accept import Intake
from sendryd.intake.directory import Directory
from sendryd.model.apikey import ApiKey
from sendryd.model.domain import SendingDomain
from sendryd.policy.admission import admit_reverse_path, check_sender
from sendryd.policy.credentials import hash_key
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.log import get_logger
from sendryd.smtp.events import CredentialsOffered, MailFrom
from sendryd.store.errors import StoreError, StoreFull

log = get_logger("submission")


class UNKNOWN:
    """Not known without a look-up."""


class Login:
    """The login of one session. `key` is None before AUTH, and once the key is revoked."""

    __slots__ = ("_address", "_directory", "_intake", "_secret_hash", "key")

    def __init__(self, directory: Directory, intake: Intake, address: str) -> None:
        self._directory = directory
        self._intake = intake
        self._address = address  # the client's
        self._secret_hash: bytes | None = None
        self.key: ApiKey | None = None

    def __repr__(self) -> str:
        return f"<Login account={self.key.account_id if self.key else 'nobody'}>"

    async def authenticate(self, offered: CredentialsOffered) -> Refusal | None:
        """Logs in with any user name and an API key as the password. Returns the refusal, or None if the key may send."""
        secret_hash = hash_key(offered.password.strip()) if offered.username else None
        try:
            key = await self._directory.find_key(secret_hash) if secret_hash else None
        except StoreError as error:
            log.error("key_lookup_failed", error=repr(error))
            return Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)
        refusal = check_sender(key) if key else Refusal(RefusalKey.AUTH_FAILED)
        if refusal is None and key is not None:
            self.key, self._secret_hash = key, secret_hash
            self._directory.touch(key, self._address)
        return refusal

    async def admit(self, mail: MailFrom) -> Refusal | None:
        """Checks a transaction at MAIL: the key again, so that a revoked one stops at once; room on the disk; the reverse-path. None: it may begin."""
        directory, mailbox = self._directory, mail.path.mailbox
        try:
            key = await directory.find_key(self._secret_hash) if self._secret_hash else None
            if key is None:
                self.key = self._secret_hash = None
                return Refusal(RefusalKey.AUTH_FAILED)
            return self._decide(mail, key, await directory.covering_domains(key.account_id, mailbox.domain) if mailbox else ())
        except StoreError as error:
            log.error("sender_check_failed", error=repr(error))
            return Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)

    def admit_known(self, mail: MailFrom) -> Refusal | type[UNKNOWN] | None:
        """What `admit` would give, if nothing has to be looked up for it."""
        key = self._directory.known_key(self._secret_hash) if self._secret_hash else None
        if key is None:
            return UNKNOWN
        mailbox = mail.path.mailbox
        covering = self._directory.known_domains(key.account_id, mailbox.domain) if mailbox else ()
        return UNKNOWN if covering is None else self._decide(mail, key, covering)

    def _decide(self, mail: MailFrom, key: ApiKey, covering: Sequence[SendingDomain]) -> Refusal | None:
        if check_sender(key) is not None:
            self.key = self._secret_hash = None
            return Refusal(RefusalKey.AUTH_FAILED)
        self.key = key
        self._directory.touch(key, self._address)
        try:
            self._intake.check_room(mail.size or 0)
        except StoreFull:
            return Refusal(RefusalKey.STORAGE_FULL)
        except StoreError as error:
            log.error("sender_check_failed", error=repr(error))
            return Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)
        return admit_reverse_path(key, mail.path.mailbox.domain, covering) if mail.path.mailbox else None
