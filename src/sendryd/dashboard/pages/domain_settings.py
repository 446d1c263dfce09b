"""Tracking and settings of a domain, and its removal."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from sendryd.accounts.account import Accounts
from sendryd.accounts.domain_settings import BadDomainSetting, check_settings
from sendryd.dashboard.app import Page
from sendryd.dashboard.pages.domain import frame, on_domain
from sendryd.dashboard.smarthostfields import read_smart_host, without_password
from sendryd.dashboard.visit import Visit
from sendryd.model.domain import SendingDomain, StsMode, TlsPolicy
from sendryd.policy.rights import Right
from sendryd.policy.wayout import BadWayOut, WayKind, parse_way_out

STS_MODES: Final = {
    StsMode.TESTING.value: "Tried out: mail that others could not encrypt still comes, and is reported",
    StsMode.ENFORCE.value: "Enforced: mail comes only encrypted, to a valid certificate",
    StsMode.NONE.value: "Off: the policy says that there is none any more",
}
SAVED: Final = "Saved."
WAYS: Final = {
    WayKind.LIVE.value: "To its recipients",
    WayKind.CAPTURE.value: "Nowhere: it stays in the Test Inbox",
    WayKind.REDIRECT.value: "All of it to other addresses",
    WayKind.COPY.value: "To its recipients, and a copy to other addresses",
}


async def show_tracking(visit: Visit, domain: SendingDomain) -> Response:
    """`GET /domains/{name}/tracking`."""
    return _show_tracking(visit, domain)


async def set_tracking(visit: Visit, domain: SendingDomain) -> Response:
    """`POST /domains/{name}/tracking`."""
    opens, clicks = "track_opens" in visit.fields, "track_clicks" in visit.fields
    after = await visit.needs.domains.by(visit.author).change(
        domain.id, lambda settings: replace(settings, track_opens=opens, track_clicks=clicks)
    )
    return _show_tracking(visit, after, said=SAVED)


async def show_settings(visit: Visit, domain: SendingDomain) -> Response:
    """`GET /domains/{name}/settings`."""
    return await _show_settings(visit, domain, status=200)


async def set_settings(visit: Visit, domain: SendingDomain) -> Response:
    """`POST /domains/{name}/settings`."""
    fields = visit.fields
    wrong: dict[str, str] = {}
    way, tls_policy, mta_sts = domain.settings.delivery, domain.settings.tls_policy, domain.settings.mta_sts
    try:
        tls_policy = TlsPolicy(fields.get("tls_policy", ""))
    except ValueError:
        wrong["tls_policy"] = "There is no such rule."
    try:
        mta_sts = StsMode(fields.get("mta_sts", mta_sts.value))
    except ValueError:
        wrong["mta_sts"] = "There is no such rule."
    try:
        way = _read_way(fields, way)
    except BadWayOut as error:
        wrong["delivery"] = f"{str(error)[0].upper()}{str(error)[1:]}."
    pool = fields.get("pool", domain.settings.pool)
    if pool not in {"", domain.settings.pool, *visit.needs.domains.pools}:
        wrong["pool"] = "There is no such pool."
    smarthost = read_smart_host(fields, domain.settings.smarthost)
    try:
        check_settings(domain, replace(domain.settings, smarthost=smarthost), pools=visit.needs.domains.pools, is_operator=False)
    except BadDomainSetting as error:
        wrong["smarthost"] = f"{str(error).removeprefix('smarthost: ')}."
    if wrong:
        return await _show_settings(visit, domain, wrong=wrong, status=422)
    after = await visit.needs.domains.by(visit.author).change(
        domain.id,
        lambda settings: replace(
            settings,
            include_subdomains="include_subdomains" in fields,
            status_reports="status_reports" in fields,
            tls_policy=tls_policy,
            mta_sts=mta_sts,
            delivery=way,
            pool=pool,
            smarthost=smarthost,
        ),
    )
    return await _show_settings(visit, after, said=SAVED, status=200)


def _read_way(fields: Mapping[str, str], present: str) -> str:
    """The way out of the form. Raises `BadWayOut`."""
    kind = fields.get("delivery")
    if kind is None:
        return present
    does_name = kind in {WayKind.REDIRECT, WayKind.COPY}
    return str(parse_way_out(f"{kind}:{fields.get('delivery_to', '')}" if does_name else kind))


async def remove(visit: Visit, domain: SendingDomain) -> Response:
    """`POST /domains/{name}/remove`: removes a domain whose name was typed."""
    typed = visit.fields.get("name", "")
    if typed.strip().lower() != domain.name:
        return await _show_settings(visit, domain, wrong={"name": f"Type {domain.name} to remove it."}, status=422)
    await visit.needs.domains.by(visit.author).remove(domain)
    return visit.go("/domains")


def _show_tracking(visit: Visit, domain: SendingDomain, *, said: str = "") -> Response:
    public = urlsplit(visit.needs.site.public_url)
    settings = domain.settings
    values = {
        **frame(domain, "/tracking"),
        "opens": settings.track_opens,
        "clicks": settings.track_clicks,
        "host": public.netloc,
        "is_encrypted": public.scheme == "https",
        "said": said,
        "fault": "",
    }
    return visit.show("domain_tracking.html", "domain", values)


async def _show_settings(
    visit: Visit, domain: SendingDomain, *, said: str = "", wrong: Mapping[str, str] | None = None, status: int
) -> Response:
    """The form holds what was typed after a fault, else what is stored."""
    settings, fields = domain.settings, visit.fields if wrong and "tls_policy" in visit.fields else {}
    kind, _, addresses = settings.delivery.partition(":")
    values = {
        **frame(domain, "/settings"),
        "include_subdomains": "include_subdomains" in fields if fields else settings.include_subdomains,
        "status_reports": "status_reports" in fields if fields else settings.status_reports,
        "tls_policy": fields.get("tls_policy", settings.tls_policy.value),
        "sts_modes": STS_MODES,
        "mta_sts": fields.get("mta_sts", settings.mta_sts.value),
        "ways": WAYS,
        "way": fields.get("delivery", kind),
        "way_to": fields.get("delivery_to", addresses.replace(",", ", ")),
        "smarthost": without_password(fields.get("smarthost", settings.smarthost)),
        "smarthost_of_account": (await Accounts(visit.needs.store).get(domain.account_id)).settings.smarthost.url,
        "pools": _pools(visit, settings.pool),
        "pool": fields.get("pool", settings.pool),
        "typed": visit.fields.get("name", ""),
        "said": said,
        "fault": "",
        "wrong": {"tls_policy": "", "mta_sts": "", "name": "", "delivery": "", "pool": "", "smarthost": "", **(wrong or {})},
    }
    return visit.show("domain_settings.html", "domain", values, status=status)


def _pools(visit: Visit, present: str) -> list[str]:
    """The pools to choose from, with the domain's own even where it is not configured any more."""
    pools = list(visit.needs.domains.pools)
    return [*pools, *([present] if present and present not in pools else [])]


def _is_named(visit: Visit) -> bool:
    """Whether the typed name is right: a wrong one is refused without asking for a proof."""
    name: str = visit.request.path_params["name"]
    return visit.fields.get("name", "").strip().lower() == name.lower()


PAGES: Final = (
    Page(
        path="/domains/{name}/tracking",
        get=on_domain(show_tracking),
        post=on_domain(set_tracking),
        needs_to_change=Right.ADMINISTER,
    ),
    Page(
        path="/domains/{name}/settings",
        get=on_domain(show_settings),
        post=on_domain(set_settings),
        needs_to_change=Right.ADMINISTER,
    ),
    Page(path="/domains/{name}/remove", post=on_domain(remove), needs_to_change=Right.ADMINISTER, proof=_is_named),
)
