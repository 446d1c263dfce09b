"""Shutting addresses out of the submission door, and letting them in again. The caller has checked the right to do it."""

import ipaddress
from datetime import timedelta
from typing import Final

from sendryd.accounts.audit import By, make_entry
from sendryd.accounts.errors import BadField
from sendryd.model.blockedaddress import BlockedAddress
from sendryd.policy.network import network_of
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import Store

MAX_BLOCKED: Final = 1000  # a page lists them; networks of strangers are a firewall's work
MAX_REASON: Final = 200  # characters


class AddressBlocks:
    """Blocks of the installation."""

    def __init__(self, store: Store, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def list(self) -> list[BlockedAddress]:
        """The addresses that are blocked now, the latest first."""
        now = self._clock.now()
        found = [each for each in await self._store.list_blocked_addresses() if not each.is_over(now)]
        return sorted(found, key=lambda each: each.since, reverse=True)

    async def block(self, by: By, address: str, *, reason: str = "", length: timedelta | None = None) -> BlockedAddress:
        """Refuse connections from an address, of an IPv6 address from its /64; for a time, or until somebody lets it in again. A repeated
        block replaces the earlier one. Raises `BadField`, `LimitReached`.
        """
        now = self._clock.now()
        blocked = BlockedAddress(
            network=network_of(_checked(address)),
            by=by.name or by.actor,
            reason=" ".join(reason.split())[:MAX_REASON],
            since=now,
            until=now + length if length is not None else None,
        )
        after = {"until": blocked.until.isoformat() if blocked.until else None, "reason": blocked.reason}
        entry = make_entry(by, "address.blocked", blocked.network, clock=self._clock, ids=self._ids, after=after)
        await self._store.audited(entry).block_address(blocked, limit=MAX_BLOCKED)
        return blocked

    async def unblock(self, by: By, network: str) -> None:
        """Let an address in again. Raises `NotFound`."""
        entry = make_entry(by, "address.unblocked", network, clock=self._clock, ids=self._ids)
        await self._store.audited(entry).unblock_address(network)


def _checked(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address.strip().partition("%")[0]))
    except ValueError:
        raise BadField("address", "Enter an IPv4 or IPv6 address.") from None
