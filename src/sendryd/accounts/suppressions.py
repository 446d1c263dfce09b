"""Operations on suppressions and unsubscribes, shared by the REST API and the command line."""

from collections.abc import Sequence
from typing import Final, Protocol

from typing_extensions import override

from sendryd.accounts.audit import AuditedChanges
from sendryd.accounts.errors import BadField
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import parse_mailbox
from sendryd.model.ids import AccountId, SuppressionId, UnsubscribeId
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.policy.address_key import normalise_address
from sendryd.runtime import offload
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import AuditStore, ListStore
from sendryd.store.errors import NotFound

MAX_IMPORT: Final = 10_000  # addresses in one call: a write of some 100 ms, which other writers wait for


class BadAddress(ValueError):
    """The text is not one plain address; the message says what to change."""

    def __init__(self, sentence: str, index: int = 0) -> None:
        super().__init__(sentence)
        self.index = index  # its place in the list that was given, from 0 on


class BadLength(BadField):
    """The list has too few or too many addresses."""

    @property
    @override
    def sentence(self) -> str:
        """The message, which names both fields that addresses can be in."""
        return str(self)


def read_address(text: str) -> str:
    """Read an address into its stored form: domain in A-labels, lower case. Raises `BadAddress`."""
    try:
        mailbox = parse_mailbox(text)
    except MalformedMessage as error:
        raise BadAddress(str(error)) from None
    if mailbox.name or text.rstrip(" ").endswith(">"):
        raise BadAddress("give the address alone, without a name or angle brackets")
    return normalise_address(mailbox.address)


def seek_address(text: str) -> str:
    """The stored form of an address to search for. Text that is no address gives a form that no list has."""
    try:
        return read_address(text)
    except BadAddress:
        return normalise_address(text)


class AuditedListStore(ListStore, AuditStore, Protocol):
    """Lists, and the audit of their changes."""


class Suppressions(AuditedChanges[AuditedListStore]):
    """Adds addresses to the lists and removes them."""

    def __init__(self, store: AuditedListStore, *, clock: Clock, ids: IdSource) -> None:
        super().__init__(store, clock, ids)

    async def suppress(self, account_id: AccountId, email: str, reason: SuppressionReason) -> Suppression:
        """Suppress an address. Returns the stored suppression: an address that was suppressed already keeps its reason and time. Raises
        `BadAddress`.
        """
        new = self._suppression(account_id, read_address(email), reason)
        await self._audited("suppression.added", new.email, after={"reason": reason.value}).add_suppressions([new])
        return await self._store.get_suppression(account_id, new.email) or new

    async def import_suppressions(self, account_id: AccountId, entries: Sequence[tuple[str, SuppressionReason]]) -> int:
        """Suppress many addresses, or none if one is invalid. Returns the number of new ones. Raises `BadLength`, and `BadAddress` for the
        first invalid address.
        """
        if not 1 <= len(entries) <= MAX_IMPORT:
            raise BadLength("emails", f"give 1 to {MAX_IMPORT:,} addresses, in emails or in suppressions")
        emails = await offload.in_thread(_read_all, [email for email, _ in entries])
        reasons = [reason for _, reason in entries]
        return await self._audited("suppression.imported", "suppressions", after={"addresses": len(emails)}).add_suppressions(
            [self._suppression(account_id, email, reason) for email, reason in zip(emails, reasons, strict=True)]
        )

    async def lift_suppression(self, account_id: AccountId, email: str) -> None:
        """Remove an address from the suppression list. Raises `NotFound`."""
        address = seek_address(email)
        await self._audited("suppression.lifted", address).remove_suppression(account_id, address)

    async def unsubscribe(
        self, account_id: AccountId, emails: Sequence[str], *, list_id: str | None, reason: str | None
    ) -> tuple[list[Unsubscribe], int]:
        """Unsubscribe addresses, or none if one is invalid. Returns the stored unsubscribe of each, in order, and the number of new ones.
        Raises `BadAddress` for the first invalid address.
        """
        given = [self._unsubscribe(account_id, email, list_id, reason) for email in await offload.in_thread(_read_all, emails)]
        target = given[0].email if len(given) == 1 else "unsubscribes"
        after = {"list": list_id or "", "addresses": len(given)}
        standing = await self._audited("unsubscribe.added", target, after=after).add_unsubscribes(given)
        return standing, sum(each.id == mine.id for each, mine in zip(standing, given, strict=True))

    async def subscribe(self, account_id: AccountId, unsubscribe_id: UnsubscribeId) -> Unsubscribe:
        """Remove an unsubscribe. Raises `NotFound`."""
        found = await self._store.get_unsubscribe(account_id, unsubscribe_id)
        if found is None:
            raise NotFound("no such unsubscribe")
        await self._audited("unsubscribe.lifted", found.email, before={"list": found.list_id or ""}).remove_unsubscribe(
            account_id, found.id
        )
        return found

    def _suppression(self, account_id: AccountId, email: str, reason: SuppressionReason) -> Suppression:
        return Suppression(
            id=SuppressionId(self._ids.next()), account_id=account_id, email=email, reason=reason, created_at=self._clock.now()
        )

    def _unsubscribe(self, account_id: AccountId, email: str, list_id: str | None, reason: str | None) -> Unsubscribe:
        return Unsubscribe(
            id=UnsubscribeId(self._ids.next()),
            account_id=account_id,
            email=email,
            list_id=list_id,
            reason=reason,
            created_at=self._clock.now(),
        )


def _read_all(texts: Sequence[str]) -> list[str]:
    emails = []
    for index, text in enumerate(texts):
        try:
            emails.append(read_address(text))
        except BadAddress as error:
            raise BadAddress(str(error), index) from None
    return emails
