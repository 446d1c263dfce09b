"""Sending domains: adding, proving, setting and removing them, and their logos."""

from typing import Final

from sendryd.accounts.domains import BadDomainName, BadDomainSetting, Change, DomainOffice, parse_name
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
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import Refused, invalid, not_found, parse_cursor
from sendryd.api.regions.operations import GROUP as REGIONS
from sendryd.intake.directory import Directory
from sendryd.model import domain as model
from sendryd.model.apikey import Scope
from sendryd.model.ids import DOMAIN_PREFIX, DomainId, format_id, parse_id
from sendryd.policy.bimi import DEFAULT_SELECTOR
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.log import get_logger
from sendryd.store.base import AccountStore
from sendryd.store.errors import Conflict

GROUP: Final = "Domains"
log = get_logger("api")


class DomainHandlers:
    """Everything about sending domains."""

    def __init__(self, store: AccountStore, office: DomainOffice, directory: Directory) -> None:
        self._store = store
        self._office = office
        self._directory = directory

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [*self._domains(), *self._proof_and_region(), *self._logos()]

    def _domains(self) -> list[Operation]:
        path = "/v1/domains"
        one = f"{path}/{{id}}"
        return [
            Operation(
                method="POST",
                path=path,
                group=GROUP,
                summary="Add a sending domain, and get the DNS records to publish",
                handler=self.create,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"name": "example.com"},
                conflict="The domain is there already; `details.id` names it.",
            ),
            Operation(method="GET", path=path, group=GROUP, summary="List sending domains, newest first", handler=self.list),
            Operation(method="GET", path=one, group=GROUP, summary="Get a sending domain", handler=self.get),
            Operation(
                method="PATCH",
                path=one,
                group=GROUP,
                summary="Set what is done with a domain's mail",
                handler=self.update,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"tracking": {"opens": True, "clicks": False}, "tls_policy": "enforced"},
            ),
            Operation(
                method="DELETE",
                path=one,
                group=GROUP,
                summary="Remove a sending domain, its key and its logo; its queued mail is held until the domain is verified again",
                handler=self.delete,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
            ),
        ]

    def _proof_and_region(self) -> list[Operation]:
        one = "/v1/domains/{id}"
        return [
            Operation(
                method="POST",
                path=f"{one}/verify",
                group=GROUP,
                summary="Look at a domain's DNS records now",
                handler=self.verify,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                is_timed=False,
            ),
            Operation(
                method="PATCH",
                path=f"{one}/region",
                group=REGIONS,
                summary="Note the region that a domain prefers",
                handler=self.set_region,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"region": "eu-west-1"},
            ),
        ]

    def _logos(self) -> list[Operation]:
        path = "/v1/domains/{id}/bimi"
        return [
            Operation(
                method="POST",
                path=path,
                group=GROUP,
                summary="Set a domain's logo (BIMI), and get the DNS record to publish",
                handler=self.set_bimi,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"logo_url": "https://example.com/logo.svg"},
            ),
            Operation(method="GET", path=path, group=GROUP, summary="Get a domain's logo", handler=self.get_bimi),
            Operation(
                method="DELETE",
                path=path,
                group=GROUP,
                summary="Take a domain's logo away",
                handler=self.delete_bimi,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
            ),
            Operation(
                method="POST",
                path=f"{path}/verify",
                group=GROUP,
                summary="Look at the DNS record of a domain's logo now",
                handler=self.verify_bimi,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                is_timed=False,
            ),
        ]

    async def create(self, call: Call[NewDomainBody, None]) -> Domain:
        """`POST /v1/domains`. A name that is there already is a 409 with the id that it has."""
        body = call.body
        account_id = call.key.account_id
        try:
            domain = await self._office.add(account_id, body.name)
        except BadDomainName as error:
            raise invalid("name", f"name: {error}") from None
        except Conflict:
            there = await self._store.find_domain(account_id, parse_name(body.name))
            number = format_id(DOMAIN_PREFIX, there.id) if there else ""
            sentence = f"The domain {body.name} is there already{f' as {number}' if number else ''}: go on with that one"
            details = {"field": "name", "id": number} if number else {"field": "name"}
            raise Refused(Refusal(RefusalKey.CONFLICT, sentence), details=details) from None
        self._directory.invalidate()
        return domain_json(domain)

    async def list(self, call: Call[None, SearchQuery]) -> CountedPage[Domain]:
        """`GET /v1/domains`."""
        query = call.query
        account_id = call.key.account_id
        before = parse_cursor(query.cursor, DOMAIN_PREFIX)
        found = await self._store.page_domains(
            account_id, text=query.q, limit=query.limit, before=None if before is None else DomainId(before)
        )
        total = await self._store.count_domains(account_id, text=query.q)
        return counted_page([domain_json(domain) for domain in found.items], has_more=found.has_more, total=total)

    async def get(self, call: Call[None, None]) -> Domain:
        """`GET /v1/domains/:id`."""
        return domain_json(await self._find(call))

    async def update(self, call: Call[DomainBody, None]) -> Domain:
        """`PATCH /v1/domains/:id`."""
        return await self._change(call, call.body.change)

    async def set_region(self, call: Call[DomainRegionBody, None]) -> Domain:
        """`PATCH /v1/domains/:id/region`: kept for clients that set it; all mail goes out from here."""
        return await self._change(call, call.body.change)

    async def _change(self, call: Call[object, object], change: Change) -> Domain:
        domain = await self._find(call)
        try:
            after = await self._office.change(domain.id, change)
        except BadDomainSetting as error:
            raise invalid(error.field, str(error)) from None
        self._directory.invalidate()
        return domain_json(after)

    async def delete(self, call: Call[None, None]) -> Deleted:
        """`DELETE /v1/domains/:id`."""
        domain = await self._find(call)
        held = await self._office.remove(domain)
        log.warning("domain_removed", id=format_id(DOMAIN_PREFIX, domain.id), domain=domain.name, held=held)
        self._directory.invalidate()
        return {"deleted": True}

    async def verify(self, call: Call[None, None]) -> DomainVerification:
        """`POST /v1/domains/:id/verify`."""
        verification = await self._office.verify(await self._find(call))
        self._directory.invalidate()
        return verification_json(verification.domain, verification.found)

    async def set_bimi(self, call: Call[BimiBody, None]) -> Bimi:
        """`POST /v1/domains/:id/bimi`."""
        body = call.body
        domain = await self._find(call)
        try:
            bimi = await self._office.set_bimi(
                domain, logo_url=body.logo_url, vmc_url=body.vmc_url, selector=body.selector or DEFAULT_SELECTOR
            )
        except BadDomainSetting as error:
            raise invalid(error.field, str(error)) from None
        return bimi_json(domain, bimi)

    async def get_bimi(self, call: Call[None, None]) -> Bimi:
        """`GET /v1/domains/:id/bimi`: 404 if there is none."""
        domain = await self._find(call)
        return bimi_json(domain, await self._find_bimi(domain))

    async def delete_bimi(self, call: Call[None, None]) -> Deleted:
        """`DELETE /v1/domains/:id/bimi`."""
        domain = await self._find(call)
        await self._find_bimi(domain)
        await self._office.remove_bimi(domain)
        return {"deleted": True}

    async def verify_bimi(self, call: Call[None, None]) -> BimiVerification:
        """`POST /v1/domains/:id/bimi/verify`."""
        domain = await self._find(call)
        await self._find_bimi(domain)
        found = await self._office.verify_bimi(domain)
        return bimi_verification_json(found.bimi, found.reason)

    async def _find(self, call: Call[object, object]) -> model.SendingDomain:
        """The domain of the path, if it is the account's. Raises `Refused`."""
        number = parse_id(call.params["id"], DOMAIN_PREFIX)
        domain = None if number is None else await self._store.get_domain(DomainId(number))
        if domain is None or domain.account_id != call.key.account_id:
            raise not_found("Domain")
        return domain

    async def _find_bimi(self, domain: model.SendingDomain) -> model.Bimi:
        bimi = await self._store.get_bimi(domain.id)
        if bimi is None:
            raise not_found("Logo of this domain")
        return bimi
