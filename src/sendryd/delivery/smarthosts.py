"""Sending domains with a smart host of their own, or of their account: the next hop of their mail.

A delivery of such a domain has the smart host's lane in place of its recipient's domain (`policy.smarthost`), since the door stored it or the setting
changed. One that is in another lane than the setting says, for it was accepted in the moment of the change, is moved here and taken up again. The setting
leaves alone what a person has given another way (`policy.detour`). A suspended pool of the domain holds its mail also here.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.egress import Egress, waiting
from sendryd.delivery.signer import Signer, SigningKeyDamaged, SigningKeyMissing
from sendryd.policy.detour import SMART_HOST
from sendryd.policy.replies.verdict import Verdict
from sendryd.policy.routing import NextHop
from sendryd.policy.smarthost import lane_of, parse_smart_host
from sendryd.store.base import Claim, QueueStore

AT_ONCE: Final = timedelta(seconds=1)


class OwnSmartHosts:
    """Adds a domain's own smart host to the route of an attempt."""

    def __init__(self, store: QueueStore, signer: Signer, destinations: Destinations, egress: Egress) -> None:
        self._store = store
        self._signer = signer
        self._destinations = destinations
        self._egress = egress

    async def route(self, claim: Claim, route: NextHop | NoRoute) -> NextHop | NoRoute | Verdict:
        """The route of a claim; a verdict if it has to be taken up again in another lane. Raises what `Signer.key` raises, and `StoreError`."""
        if claim.detour:
            return await self._detour(claim, route)
        domain_id, present = claim.message.signing_domain_id, lane_of(claim.domain)
        if domain_id is None:
            return route
        try:
            key = await self._signer.key(domain_id)
        except (SigningKeyMissing, SigningKeyDamaged):
            if present or isinstance(route, NextHop):
                raise
            return route
        smart_host, lane = key.smart_host, key.lane
        if lane != present:
            await self._store.reroute(domain_id, lane or None, [each.id for each in claim.deliveries])
            return waiting("The sending domain has another smart host now: the mail is taken up again", AT_ONCE)
        if smart_host is None:
            return route
        if (suspended := self._egress.pool_suspended(key.pool)) is not None:
            return suspended
        if isinstance(route, NextHop) and route.domain != lane:  # all mail has one lane, with a smart host for everything
            route = await self._destinations.find(lane)
        return route if isinstance(route, NoRoute) else replace(route, smart_host=smart_host)

    async def _detour(self, claim: Claim, route: NextHop | NoRoute) -> NextHop | NoRoute | Verdict:
        """The way that a person has given the mail: to a smart host, or from a pool by the usual route."""
        if claim.detour != SMART_HOST:
            return route
        host = await self._store.find_detour_host(claim.domain)
        smart_host = parse_smart_host(host.url) if host is not None else None
        if host is None or smart_host is None:
            return waiting("The smart host that a person has sent this mail to is not known any more: reroute the mail again")
        if isinstance(route, NextHop) and route.domain != claim.domain:
            route = await self._destinations.find(claim.domain)
        credentials = (smart_host.credentials[0], host.password) if smart_host.credentials is not None else None
        found = replace(smart_host, credentials=credentials, may_be_private=True)  # only an operator reroutes
        return route if isinstance(route, NoRoute) else replace(route, smart_host=found)
