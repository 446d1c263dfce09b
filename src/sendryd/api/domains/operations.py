"""Sending domains: adding, proving, setting and removing them, and their logos."""

import re
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from sendryd.accounts.domains import BadDomainName, BadDomainSetting, DomainOffice, Verification, parse_name
from sendryd.api.framework.answers import CountedPage, Deleted, Json, timestamp_or_none
from sendryd.api.framework.bodies import Body, SearchQuery
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import Refused, invalid, not_found, parse_cursor
from sendryd.api.framework.urls import HttpsUrl
from sendryd.api.shapes import Bimi as BimiShape
from sendryd.api.shapes import BimiVerification, Domain, DomainVerification
from sendryd.api.wire import domain_json, page
from sendryd.intake.directory import Directory
from sendryd.model.apikey import Scope
from sendryd.model.domain import Bimi, DnsRecord, DomainSettings, DomainStatus, SendingDomain, TlsPolicy
from sendryd.model.ids import BIMI_PREFIX, DOMAIN_PREFIX, DomainId, format_id, parse_id
from sendryd.model.moment import timestamp
from sendryd.policy.bimi import bimi_name, bimi_value
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.log import get_logger
from sendryd.store.base import AccountStore
from sendryd.store.errors import Conflict

GROUP: Final = "Domains"
REGIONS: Final = "Regions"
MAX_FOUND: Final = 2000  # characters of what a stranger's DNS says that are shown
log = get_logger("api")
_SELECTOR: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)  # a label: RFC 1035 §2.3.1
_REGION: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)


def read_region(text: str) -> str:
    """The code of a region. Raises `ValueError`."""
    if not _REGION.fullmatch(text):
        raise ValueError("a region code has 1 to 64 lower case letters, digits and hyphens, as eu-west-1")
    return text


def _read_selector(text: str) -> str:
    if not _SELECTOR.fullmatch(text):
        raise ValueError("a selector has 1 to 63 letters, digits and hyphens, as default")
    return text.lower()


RegionCode = Annotated[str, AfterValidator(read_region)]


class NewDomainBody(Body):
    """A domain to add."""

    name: Annotated[str, Field(min_length=3, max_length=253)]


class TrackingBody(Body):
    """What to track."""

    opens: bool | None = None
    clicks: bool | None = None


class DomainBody(Body):
    """What to set."""

    tls_policy: Literal["opportunistic", "enforced"] | None = None
    custom_return_path: Annotated[str, Field(max_length=253, description="A subdomain of the domain; null for none")] | None = None
    tracking: TrackingBody | None = None
    include_subdomains: bool | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None


class DomainRegionBody(Body):
    """Where to send from."""

    region: RegionCode | None = None


class BimiBody(Body):
    """A logo."""

    logo_url: HttpsUrl
    vmc_url: HttpsUrl | None = None
    selector: Annotated[str, AfterValidator(_read_selector)] | None = None


class DomainHandlers:
    """Everything about sending domains."""

    def __init__(self, store: AccountStore, office: DomainOffice, directory: Directory) -> None:
        self._store = store
        self._office = office
        self._directory = directory

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [*self._domains(), *self._logos()]

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
                answers=Domain,
                example={"name": "example.com"},
                conflict="The domain is there already; `details.id` names it.",
            ),
            Operation(
                method="GET",
                path=path,
                group=GROUP,
                summary="List sending domains, newest first",
                handler=self.list,
                answers=CountedPage[Domain],
            ),
            Operation(method="GET", path=one, group=GROUP, summary="Get a sending domain", handler=self.get, answers=Domain),
            Operation(
                method="PATCH",
                path=one,
                group=GROUP,
                summary="Set what is done with a domain's mail",
                handler=self.update,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=Domain,
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
                answers=Deleted,
            ),
            Operation(
                method="POST",
                path=f"{one}/verify",
                group=GROUP,
                summary="Look at a domain's DNS records now",
                handler=self.verify,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=DomainVerification,
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
                answers=Domain,
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
                answers=BimiShape,
                example={"logo_url": "https://example.com/logo.svg"},
            ),
            Operation(method="GET", path=path, group=GROUP, summary="Get a domain's logo", handler=self.get_bimi, answers=BimiShape),
            Operation(
                method="DELETE",
                path=path,
                group=GROUP,
                summary="Take a domain's logo away",
                handler=self.delete_bimi,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=Deleted,
            ),
            Operation(
                method="POST",
                path=f"{path}/verify",
                group=GROUP,
                summary="Look at the DNS record of a domain's logo now",
                handler=self.verify_bimi,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=BimiVerification,
                is_timed=False,
            ),
        ]

    async def create(self, call: Call[NewDomainBody, None]) -> Json:
        """`POST /v1/domains`. A name that is there already is a 409 with the id that it has."""
        body: NewDomainBody = call.body
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

    async def list(self, call: Call[None, SearchQuery]) -> Json:
        """`GET /v1/domains`."""
        query: SearchQuery = call.query
        account_id = call.key.account_id
        before = parse_cursor(call.query.cursor, DOMAIN_PREFIX)
        found = await self._store.page_domains(
            account_id, text=query.q, limit=query.limit, before=None if before is None else DomainId(before)
        )
        total = await self._store.count_domains(account_id, text=query.q)
        return page([domain_json(domain) for domain in found.items], has_more=found.has_more, total=total, has_total=True)

    async def get(self, call: Call[None, None]) -> Json:
        """`GET /v1/domains/:id`."""
        return domain_json(await self._find(call))

    async def update(self, call: Call[DomainBody, None]) -> Json:
        """`PATCH /v1/domains/:id`."""
        body: DomainBody = call.body
        return await self._change(call, _read_changes(body))

    async def set_region(self, call: Call[DomainRegionBody, None]) -> Json:
        """`PATCH /v1/domains/:id/region`: kept for clients that set it; all mail goes out from here."""
        body: DomainRegionBody = call.body
        return await self._change(call, {"region": body.region} if "region" in body.model_fields_set else {})

    async def _change(self, call: Call[Any, Any], changes: dict[str, Any]) -> Json:
        def change(settings: DomainSettings) -> DomainSettings:
            return replace(settings, **changes)

        domain = await self._find(call)
        try:
            after = await self._office.change(domain.id, change)
        except BadDomainSetting as error:
            raise invalid(error.field, str(error)) from None
        self._directory.invalidate()
        return domain_json(after)

    async def delete(self, call: Call[None, None]) -> Json:
        """`DELETE /v1/domains/:id`."""
        domain = await self._find(call)
        held = await self._office.remove(domain)
        log.warning("domain_removed", id=format_id(DOMAIN_PREFIX, domain.id), domain=domain.name, held=held)
        self._directory.invalidate()
        return {"deleted": True}

    async def verify(self, call: Call[None, None]) -> Json:
        """`POST /v1/domains/:id/verify`."""
        verification = await self._office.verify(await self._find(call))
        self._directory.invalidate()
        return _verification_json(verification)

    async def set_bimi(self, call: Call[BimiBody, None]) -> Json:
        """`POST /v1/domains/:id/bimi`."""
        body: BimiBody = call.body
        for field, url in (("logo_url", body.logo_url), ("vmc_url", body.vmc_url)):
            if url is not None and ";" in url:  # it ends a tag of the record
                raise invalid(field, f"{field}: write the semicolon as %3B")
        domain = await self._find(call)
        try:
            bimi = await self._office.set_bimi(
                domain, logo_url=body.logo_url, vmc_url=body.vmc_url or None, selector=body.selector or "default"
            )
        except BadDomainName as error:
            raise invalid("selector", f"selector: {error}") from None
        return _bimi_json(domain, bimi)

    async def get_bimi(self, call: Call[None, None]) -> Json:
        """`GET /v1/domains/:id/bimi`: 404 if there is none."""
        domain = await self._find(call)
        return _bimi_json(domain, await self._find_bimi(domain))

    async def delete_bimi(self, call: Call[None, None]) -> Json:
        """`DELETE /v1/domains/:id/bimi`."""
        domain = await self._find(call)
        await self._find_bimi(domain)
        await self._office.remove_bimi(domain)
        return {"deleted": True}

    async def verify_bimi(self, call: Call[None, None]) -> Json:
        """`POST /v1/domains/:id/bimi/verify`."""
        domain = await self._find(call)
        await self._find_bimi(domain)
        found = await self._office.verify_bimi(domain)
        body: Json = {"verified": found.bimi.is_verified, "status": _bimi_status(found.bimi)}
        return {**body, "issue": found.reason} if found.reason else body

    async def _find(self, call: Call[Any, Any]) -> SendingDomain:
        """The domain of the path, if it is the account's. Raises `Refused`."""
        number = parse_id(call.params["id"], DOMAIN_PREFIX)
        domain = None if number is None else await self._store.get_domain(DomainId(number))
        if domain is None or domain.account_id != call.key.account_id:
            raise not_found("Domain")
        return domain

    async def _find_bimi(self, domain: SendingDomain) -> Bimi:
        bimi = await self._store.get_bimi(domain.id)
        if bimi is None:
            raise not_found("Logo of this domain")
        return bimi


def _read_changes(body: DomainBody) -> dict[str, Any]:
    """What a body asks to be changed. Null leaves a setting as it is, but takes a return path away."""
    tracking = body.tracking or TrackingBody()
    changes: dict[str, Any] = {
        "tls_policy": TlsPolicy(body.tls_policy) if body.tls_policy else None,
        "include_subdomains": body.include_subdomains,
        "track_opens": tracking.opens if body.track_opens is None else body.track_opens,
        "track_clicks": tracking.clicks if body.track_clicks is None else body.track_clicks,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if "custom_return_path" in body.model_fields_set:
        changes["custom_return_path"] = body.custom_return_path or None
    return changes


def _verification_json(verification: Verification) -> Json:
    domain = verification.domain
    records = {record.purpose: record for record in domain.records}
    checks = {purpose.value: _check_json(record, verification.found[purpose]) for purpose, record in records.items()}
    return {
        "id": format_id(DOMAIN_PREFIX, domain.id),
        "name": domain.name,
        "status": domain.status.value,
        **{f"{purpose.value}_verified": record.is_verified for purpose, record in records.items()},
        "checks": checks,
    }


def _check_json(record: DnsRecord, found: tuple[str, ...]) -> Json:
    return {
        "verified": record.is_verified,
        "found": "\n".join(found)[:MAX_FOUND] or None,
        "expected": record.value,
        "issue": record.reason or None,
        "action": _advise(record, found),
    }


def _advise(record: DnsRecord, found: tuple[str, ...]) -> str | None:
    """What to do about a record. Every reason says what is wrong, and behind a colon what to change."""
    if not record.reason:
        return None
    if "could not be looked up" in record.reason:
        return "Check again later."
    advice = record.reason.partition(": ")[2]
    if not found and "DNS panel" not in advice:
        return f"Publish a TXT record of the name {record.name} with the value {record.value}"
    return advice[:1].upper() + advice[1:]


def _bimi_json(domain: SendingDomain, bimi: Bimi) -> Json:
    name, value = bimi_name(domain.name, bimi.selector), bimi_value(bimi.logo_url, bimi.vmc_url)
    return {
        "id": format_id(BIMI_PREFIX, domain.id),
        "domain_id": format_id(DOMAIN_PREFIX, domain.id),
        "logo_url": bimi.logo_url,
        "vmc_url": bimi.vmc_url,
        "selector": bimi.selector,
        "status": _bimi_status(bimi),
        "dns_record": value,
        "dns_records": [{"type": "TXT", "host": name, "value": value, "name": name, "verified": bimi.is_verified}],
        "verified_at": timestamp_or_none(bimi.verified_at),
        "created_at": timestamp(bimi.created_at),
        "updated_at": timestamp(bimi.updated_at),
    }


def _bimi_status(bimi: Bimi) -> str:
    """As that of a domain: what was never right is pending, what was and is not any more has failed."""
    if bimi.is_verified:
        return DomainStatus.VERIFIED.value
    return DomainStatus.PENDING.value if bimi.verified_at is None else DomainStatus.FAILED.value
