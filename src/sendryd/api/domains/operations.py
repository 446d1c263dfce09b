"""Sending domains: adding, proving, setting and removing them, and their logos."""

from typing import Final

from sendryd.accounts.domain_settings import parse_name
from sendryd.accounts.domains import Change, Domains
from sendryd.api.domains.schema import (
    Bimi,
    BimiBody,
    BimiVerification,
    Domain,
    DomainBody,
    DomainRegionBody,
    DomainVerification,
    NewDomainBody,
    bimi_json,
    bimi_verification_json,
    domain_json,
    verification_json,
)
from sendryd.api.framework.answers import CountedPage, Deleted, counted_page
from sendryd.api.framework.bodies import SearchQuery
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import Refused, not_found, parse_cursor
from sendryd.api.regions.operations import GROUP as REGIONS
from sendryd.intake.directory import Directory
from sendryd.model import domain as model
from sendryd.model.ids import DOMAIN_PREFIX, DomainId, format_id
from sendryd.policy.bimi import DEFAULT_SELECTOR
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.log import get_logger
from sendryd.store.base import AccountStore
from sendryd.store.errors import Conflict

GROUP: Final = Group(
    "Domains",
    "Domains to send from, verified by DNS records, and their logos.",
    {"domains": public_id("a domain", DOMAIN_PREFIX, "Domain")},
)
log = get_logger("api")


class DomainHandlers:
    """The operations on sending domains."""

    def __init__(self, store: AccountStore, domains: Domains, directory: Directory) -> None:
        self._store = store
        self._domains = domains
        self._directory = directory

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(
                GROUP,
                "POST /v1/domains",
                self.create,
                is_live_only=True,
                example={"name": "example.com"},
                conflict="The account has this domain already; `details.id` is its id.",
            ),
            Operation(GROUP, "GET /v1/domains", self.list),
            Operation(GROUP, "GET /v1/domains/{id}", self.get),
            Operation(
                GROUP,
                "PATCH /v1/domains/{id}",
                self.update,
                is_live_only=True,
                example={"tracking": {"opens": True, "clicks": False}, "tls_policy": "enforced"},
            ),
            Operation(GROUP, "DELETE /v1/domains/{id}", self.delete, is_live_only=True),
            Operation(GROUP, "POST /v1/domains/{id}/verify", self.verify, is_live_only=True, is_timed=False),
            Operation(
                REGIONS, "PATCH /v1/domains/{id}/region", self.set_region, is_live_only=True, noun="Domain", example={"region": "eu-west-1"}
            ),
            Operation(
                GROUP, "POST /v1/domains/{id}/bimi", self.set_bimi, is_live_only=True, example={"logo_url": "https://example.com/logo.svg"}
            ),
            Operation(GROUP, "GET /v1/domains/{id}/bimi", self.get_bimi),
            Operation(GROUP, "DELETE /v1/domains/{id}/bimi", self.delete_bimi, is_live_only=True),
            Operation(GROUP, "POST /v1/domains/{id}/bimi/verify", self.verify_bimi, is_live_only=True, is_timed=False),
        ]

    async def create(self, call: Call[NewDomainBody, None]) -> Domain:
        """Add a sending domain, and get the DNS records to publish.

        The server makes a DKIM key for the domain and looks for the records until it finds them.
        """
        body = call.body
        account_id = call.key.account_id
        try:
            domain = await self._domains.by(call.author).add(account_id, body.name)
        except Conflict:
            there = await self._store.find_domain(account_id, parse_name(body.name))
            number = format_id(DOMAIN_PREFIX, there.id) if there else ""
            sentence = f"The domain {body.name} is there already{f' as {number}' if number else ''}: go on with that one"
            details = {"field": "name", "id": number} if number else {"field": "name"}
            raise Refused(Refusal(RefusalKey.CONFLICT, sentence), details=details) from None
        self._directory.invalidate()
        return domain_json(domain)

    async def list(self, call: Call[None, SearchQuery]) -> CountedPage[Domain]:
        """List sending domains, newest first.

        `q` searches the names.
        """
        query = call.query
        account_id = call.key.account_id
        before = parse_cursor(query.cursor, DomainId, DOMAIN_PREFIX)
        found = await self._store.page_domains(account_id, text=query.q, limit=query.limit, before=before)
        total = await self._store.count_domains(account_id, text=query.q)
        return counted_page([domain_json(domain) for domain in found.items], has_more=found.has_more, total=total)

    async def get(self, call: Call[None, None]) -> Domain:
        """Get a sending domain.

        The answer lists the DNS records to publish, and which of them were found.
        """
        return domain_json(await self._find(call))

    async def update(self, call: Call[DomainBody, None]) -> Domain:
        """Change the settings of a sending domain.

        A setting that is left out stays as it is.
        """
        return await self._change(call, call.body.change)

    async def set_region(self, call: Call[DomainRegionBody, None]) -> Domain:
        """Set the preferred region of a domain.

        The server stores the region for clients that set one; all mail is sent from this server.
        """
        return await self._change(call, call.body.change)

    async def _change(self, call: Call[object, object], change: Change) -> Domain:
        domain = await self._find(call)
        after = await self._domains.by(call.author).change(domain.id, change)
        self._directory.invalidate()
        return domain_json(after)

    async def delete(self, call: Call[None, None]) -> Deleted:
        """Remove a sending domain, its DKIM key and its logo.

        Queued mail of the domain is held until the domain is added and verified again.
        """
        domain = await self._find(call)
        held = await self._domains.by(call.author).remove(domain)
        log.warning("domain_removed", id=format_id(DOMAIN_PREFIX, domain.id), domain=domain.name, held=held)
        self._directory.invalidate()
        return {"deleted": True}

    async def verify(self, call: Call[None, None]) -> DomainVerification:
        """Check a domain's DNS records.

        The server queries DNS before it answers. It also checks on its own: a new domain every minute, a verified one twice a day.
        """
        verification = await self._domains.verify(await self._find(call))
        self._directory.invalidate()
        return verification_json(verification.domain, verification.found)

    async def set_bimi(self, call: Call[BimiBody, None]) -> Bimi:
        """Set a domain's logo (BIMI), and get the DNS record to publish.

        Receivers show the logo beside authenticated mail.
        """
        body = call.body
        domain = await self._find(call)
        bimi = await self._domains.by(call.author).set_bimi(
            domain, logo_url=body.logo_url, vmc_url=body.vmc_url, selector=body.selector or DEFAULT_SELECTOR
        )
        return bimi_json(domain, bimi)

    async def get_bimi(self, call: Call[None, None]) -> Bimi:
        """Get a domain's logo.

        The answer is a 404 if the domain has no logo.
        """
        domain = await self._find(call)
        return bimi_json(domain, await self._find_bimi(domain))

    async def delete_bimi(self, call: Call[None, None]) -> Deleted:
        """Remove a domain's logo.

        Remove its DNS record too: receivers read that one.
        """
        domain = await self._find(call)
        await self._find_bimi(domain)
        await self._domains.by(call.author).remove_bimi(domain)
        return {"deleted": True}

    async def verify_bimi(self, call: Call[None, None]) -> BimiVerification:
        """Check the DNS record of a domain's logo.

        The server queries DNS before it answers.
        """
        domain = await self._find(call)
        await self._find_bimi(domain)
        found = await self._domains.verify_bimi(domain)
        return bimi_verification_json(found.bimi, found.reason)

    async def _find(self, call: Call[object, object]) -> model.SendingDomain:
        """The domain of the path. Raises `NotFound`."""
        return await self._domains.get(call.key.account_id, DomainId(call.read_id(DOMAIN_PREFIX)))

    async def _find_bimi(self, domain: model.SendingDomain) -> model.Bimi:
        bimi = await self._store.get_bimi(domain.id)
        if bimi is None:
            raise not_found("Logo of this domain")
        return bimi
