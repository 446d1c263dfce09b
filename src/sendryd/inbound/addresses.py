"""The addresses that port 25 takes mail for: return paths, those for complaints and reports, those of accounts and verified domains. Nothing is relayed.

Reads: deliveries, and the sending domains of those with a return path of their own. A forged return path costs no look-up. The address of an account
takes mail while a person or a key can read it: a deleted account's is refused until the next owner.
"""

from dataclasses import dataclass
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.policy.inboundrecords import DMARC_REPORTS, TLS_REPORTS
from sendryd.policy.returnpath import read_inbound_local_part, read_local_part
from sendryd.smtp.address import Mailbox
from sendryd.store.base import DeliveryView, Store

FEEDBACK: Final = frozenset({"fbl", "complaints", "abuse"})  # local parts at the bounce domain: where providers send complaints
REPORTS: Final = frozenset({DMARC_REPORTS, TLS_REPORTS})  # and where DMARC and TLS reports go


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """The return path of a delivery."""

    delivery: DeliveryView


@dataclass(frozen=True, slots=True)
class Feedback:
    """An address for complaints."""


@dataclass(frozen=True, slots=True)
class ReportsAboutUs:
    """An address for DMARC and TLS reports of others."""


@dataclass(frozen=True, slots=True)
class MailboxOf:
    """An address of an account, which takes any mail."""

    account_id: AccountId


Target = ReturnPath | Feedback | ReportsAboutUs | MailboxOf


class Addresses:
    """Finds out what an address is for."""

    def __init__(self, store: Store, secret: bytes, bounce_domain: str) -> None:
        self._store = store
        self._secret = secret
        self._bounce_domain = bounce_domain

    async def find(self, mailbox: Mailbox) -> Target | None:
        """What mail for this address is for; None: it is none of ours. Raises `StoreError`."""
        delivery_id = read_local_part(self._secret, mailbox.local_part)
        if delivery_id is not None:
            delivery = await self._store.find_delivery(delivery_id)
            is_here = delivery is not None and (mailbox.domain == self._bounce_domain or await self._is_own(delivery, mailbox.domain))
            return ReturnPath(delivery) if delivery is not None and is_here and delivery.message.mode is KeyMode.LIVE else None
        if mailbox.domain == self._bounce_domain and mailbox.local_part.lower() in FEEDBACK:
            return Feedback()
        if mailbox.domain == self._bounce_domain and mailbox.local_part.lower() in REPORTS:
            return ReportsAboutUs()
        if mailbox.domain == self._bounce_domain:
            account_id = read_inbound_local_part(self._secret, mailbox.local_part)
            return MailboxOf(account_id) if account_id is not None and await self._store.has_reader(account_id) else None
        owner = await self._store.find_receiving_account(mailbox.domain)
        return MailboxOf(owner) if owner is not None else None

    async def _is_own(self, delivery: DeliveryView, domain: str) -> bool:
        """Whether a domain is below the sending domain of a delivery, as its own return path is."""
        number = delivery.message.signing_domain_id
        sending = await self._store.get_domain(number) if number is not None else None
        return sending is not None and domain.endswith(f".{sending.name}")
