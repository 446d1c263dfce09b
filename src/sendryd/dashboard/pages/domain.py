"""One domain: its records with verdicts and edits, texts to paste, checks now, a test mail, its removal."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from starlette.responses import PlainTextResponse, Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.domainview import domain_view, is_complete, path_of, record_views, texts_to_paste
from sendryd.dashboard.live import Source
from sendryd.dashboard.visit import Visit, headers
from sendryd.intake.testmail import send_test_mail
from sendryd.message.errors import MalformedMessage
from sendryd.model.actor import Person
from sendryd.model.domain import DkimKeyState, DomainStatus, SendingDomain
from sendryd.policy.domainnames import doubt
from sendryd.policy.refusal import Refusal
from sendryd.policy.rights import Right
from sendryd.runtime.publicsuffix import organisational_domain

PATIENCE: Final = 15.0  # seconds that a page waits for a check, which goes on
SENT_WITHIN: Final = timedelta(days=30)  # a first mail that was sent before is not looked for
MAX_COUNTED: Final = 2_000  # newest messages among which the domain's are looked for: a few milliseconds
TABS: Final = (("", "Records"), ("/keys", "DKIM keys"), ("/tracking", "Tracking"), ("/reports", "Reports"), ("/settings", "Settings"))
SLOW: Final = "DNS takes long to answer: the page shows the result when it comes."

Values = dict[str, object]


async def find(visit: Visit) -> SendingDomain | None:
    """The domain of the path."""
    return await visit.needs.store.find_domain(visit.account_id, visit.request.path_params["name"].lower())


def on_domain(work: Callable[[Visit, SendingDomain], Awaitable[Response]]) -> Callable[[Visit], Awaitable[Response]]:
    """A page of the domain that the path names."""

    async def handle(visit: Visit) -> Response:
        domain = await find(visit)
        return visit.show("missing.html", "missing", {}, status=404) if domain is None else await work(visit, domain)

    return handle


def frame(domain: SendingDomain, tab: str) -> Values:
    """What every tab of a domain shows."""
    path = path_of(domain)
    return {"name": domain.name, "path": path, "tabs": tuple((f"{path}{end}", text, end == tab) for end, text in TABS)}


async def read_records(visit: Visit, domain: SendingDomain) -> Values:
    """The records as of the last check; starts another one if it is time."""
    needs = visit.needs
    checks = await needs.store.list_domain_checks(domain.id)
    keys = await needs.store.list_dkim_keys(domain.id)
    is_done = is_complete(domain) and not any(key.state is DkimKeyState.PENDING for key in keys)
    every = needs.checks.watch(domain, checks[0].at if checks else None, is_complete=is_done)
    traffic = await needs.store.count_traffic(visit.account_id, since=needs.clock.now() - SENT_WITHIN, limit=MAX_COUNTED)
    return {**frame(domain, ""), "view": domain_view(domain, checks, every=every, has_sent=domain.id in traffic)}


async def show(visit: Visit, domain: SendingDomain) -> Response:
    """`GET /domains/{name}`."""
    return await show_records(visit, domain, status=200)


async def show_records(visit: Visit, domain: SendingDomain, *, fault: str = "", said: str = "", status: int) -> Response:
    """The records, with a sentence about what was done."""
    values = {**await read_records(visit, domain), "fault": fault, "said": said, "doubt": await _doubt(visit, domain)}
    return visit.show("domain.html", "domain", values, status=status)


async def _doubt(visit: Visit, domain: SendingDomain) -> str:
    """Whether the name is the one that was meant: until it is verified."""
    if domain.status is DomainStatus.VERIFIED:
        return ""
    others = {each.name for each in await visit.needs.store.list_domains(visit.account_id)} - {domain.name}
    return doubt(domain.name, await asyncio.to_thread(organisational_domain, domain.name), others)


async def check(visit: Visit, domain: SendingDomain) -> Response:
    """`POST /domains/{name}/check`: looks at the published records, past the caches."""
    is_done = await visit.needs.checks.look(domain, patience=PATIENCE)
    return await show_records(visit, await find(visit) or domain, fault="" if is_done else SLOW, status=200)


async def paste(visit: Visit, domain: SendingDomain) -> Response:
    """`GET /domains/{name}/paste`: the records as texts for those who run the DNS."""
    return visit.show("domain_paste.html", "domain", {**frame(domain, ""), "texts": await _texts(visit, domain), "said": "", "fault": ""})


async def download(visit: Visit, domain: SendingDomain) -> Response:
    """`GET /domains/{name}/zone-file`."""
    text = (await _texts(visit, domain))["zone"]
    return PlainTextResponse(text, headers={**headers(), "Content-Disposition": f'attachment; filename="{domain.name}.zone"'})


async def send_test(visit: Visit, domain: SendingDomain) -> Response:
    """`POST /domains/{name}/test`: a mail from the domain to the person who asks."""
    signed_in, needs = visit.me.signed_in, visit.needs
    actor = Person(visit.account_id, signed_in.person.id, signed_in.membership.role)
    to, address = signed_in.person.email, visit.client.address
    try:
        answer = await send_test_mail(needs.intake, needs.rand, actor, domain=domain.name, to=to, address=address)
    except MalformedMessage:
        return await show_records(visit, domain, fault=f"{to} is no address that mail can be sent to.", status=422)
    if isinstance(answer, Refusal):
        return await show_records(visit, domain, fault=f"{answer.sentence}.", status=422)
    return visit.go(f"/emails/{answer.message_id}")


async def _texts(visit: Visit, domain: SendingDomain) -> dict[str, str]:
    checks = await visit.needs.store.list_domain_checks(domain.id, limit=1)
    records = record_views(domain, checks[0] if checks else None)
    return texts_to_paste(domain, records, reply_to=visit.me.signed_in.person.email)


async def _read_live(visit: Visit) -> Values:
    domain = await find(visit)
    return {"view": None} if domain is None else await read_records(visit, domain)


_LIVE: Final = Source(
    page="domain",
    read=_read_live,
    parts={"domain-head": "domain_head.html", "domain-records": "domain_records.html", "domain-way": "domain_way.html"},
)
PAGES: Final = (
    Page(path="/domains/{name}", get=on_domain(show), live=_LIVE),
    Page(path="/domains/{name}/check", post=on_domain(check)),
    Page(path="/domains/{name}/paste", get=on_domain(paste)),
    Page(path="/domains/{name}/zone-file", get=on_domain(download)),
    Page(path="/domains/{name}/test", post=on_domain(send_test), needs_to_change=Right.ADMINISTER),
)
