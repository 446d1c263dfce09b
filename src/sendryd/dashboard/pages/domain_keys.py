"""DKIM keys of a domain: the one that signs, the next one, and those that have signed; rotation."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.responses import Response

from sendryd.accounts.dkim_rotation import BadRotation
from sendryd.dashboard.app import Page
from sendryd.dashboard.live import Source
from sendryd.dashboard.pages.domain import Values, find, frame, on_domain
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.domain import DkimKey, DkimKeyState, RecordPurpose, SendingDomain
from sendryd.policy.dkimkeys import all_keys, key_record, safe_to_remove
from sendryd.policy.rights import Right
from sendryd.policy.zonelines import zone_line
from sendryd.store.errors import Conflict, NotFound

_STATES: Final = {
    DkimKeyState.PENDING: ("slow", "slow", "Pending"),
    DkimKeyState.ACTIVE: ("ok", "ok", "Active"),
    DkimKeyState.RETIRED: ("off", "off", "Retired"),
}
_TOO_FAR: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key with its record."""

    selector: str
    state: str
    tone: str
    shape: str
    word: str
    name: str
    value: str
    line: str
    seen: Moment | None  # of a pending key: when its record was last found
    starts: Moment | None  # of a pending key: the chosen time, if it is still to come
    since: Moment | None  # of an active key
    retired: Moment | None
    safe: Moment | None  # when its record may be removed
    is_safe: bool


async def show(visit: Visit, domain: SendingDomain) -> Response:
    """`GET /domains/{name}/keys`."""
    return await _show(visit, domain, status=200)


async def begin(visit: Visit, domain: SendingDomain) -> Response:
    """`POST /domains/{name}/keys`: makes the next key."""
    typed = visit.fields.get("starts_at", "").strip()
    now = visit.needs.clock.now()
    try:
        starts_at = datetime.fromisoformat(typed).replace(tzinfo=UTC) if typed else now
    except ValueError:
        return await _show(visit, domain, wrong="This is no time: write it as 2027-03-03T09:00.", status=422)
    if starts_at - now > _TOO_FAR:
        return await _show(visit, domain, wrong="Choose a time within a year.", status=422)
    try:
        await visit.needs.domains.by(visit.author).rotation.begin(domain, starts_at)
    except BadRotation as error:
        return await _show(visit, domain, fault=f"{error}.", status=422)
    except Conflict:
        return await _show(visit, domain, fault="There is a pending key already.", status=409)
    return visit.go(f"{frame(domain, '')['path']}/keys")


async def call_off(visit: Visit, domain: SendingDomain) -> Response:
    """`POST /domains/{name}/keys/call-off`: removes the pending key."""
    try:
        await visit.needs.domains.by(visit.author).rotation.call_off(domain)
    except NotFound:
        return await _show(visit, domain, fault="There is no pending key any more.", status=409)
    return visit.go(f"{frame(domain, '')['path']}/keys")


async def forget(visit: Visit, domain: SendingDomain) -> Response:
    """`POST /domains/{name}/keys/forget`: removes a retired key whose record is gone."""
    try:
        await visit.needs.domains.by(visit.author).rotation.forget(domain, visit.fields.get("selector", ""))
    except NotFound:
        return await _show(visit, domain, fault="This key is not there any more.", status=409)
    return visit.go(f"{frame(domain, '')['path']}/keys")


async def _read(visit: Visit, domain: SendingDomain) -> Values:
    needs = visit.needs
    keys = await needs.store.list_dkim_keys(domain.id)
    checks = await needs.store.list_domain_checks(domain.id, limit=1)
    pending = [key for key in keys if key.state is DkimKeyState.PENDING]
    if pending:
        needs.checks.watch(domain, checks[0].at if checks else None, is_complete=False)
    views = tuple(_view(visit, domain, key) for key in all_keys(domain, keys))
    return {**frame(domain, "/keys"), "keys": views, "has_pending": bool(pending)}


def _view(visit: Visit, domain: SendingDomain, key: DkimKey) -> KeyView:
    now = visit.needs.clock.now()
    record = key_record(domain.name, key)
    safe = safe_to_remove(key.retired_at, visit.needs.queue_lifetime) if key.retired_at else None
    seen = key.seen_at if key.state is DkimKeyState.PENDING else _seen_active(domain, key)
    return KeyView(
        key.selector,
        key.state.value,
        *_STATES[key.state],
        name=record.name,
        value=record.value,
        line=zone_line(record.name, record.value),
        seen=moment_of(seen) if seen else None,
        starts=moment_of(key.starts_at) if key.starts_at > now else None,
        since=moment_of(key.active_at) if key.active_at else None,
        retired=moment_of(key.retired_at) if key.retired_at else None,
        safe=moment_of(safe) if safe else None,
        is_safe=safe is not None and safe <= now,
    )


def _seen_active(domain: SendingDomain, key: DkimKey) -> datetime | None:
    is_right = any(record.purpose is RecordPurpose.DKIM and record.is_verified for record in domain.records)
    return domain.checked_at if is_right and key.selector == domain.selector else None


async def _show(visit: Visit, domain: SendingDomain, *, wrong: str = "", fault: str = "", status: int) -> Response:
    values = {**await _read(visit, domain), "wrong": wrong, "fault": fault, "said": "", "starts_at": visit.fields.get("starts_at", "")}
    return visit.show("domain_keys.html", "domain", values, status=status)


async def _read_live(visit: Visit) -> Values:
    domain = await find(visit)
    return {"keys": (), "path": "", "has_pending": False} if domain is None else await _read(visit, domain)


_LIVE: Final = Source(page="domain-keys", read=_read_live, parts={"domain-keys": "domain_keys_list.html"})
PAGES: Final = (
    Page(
        path="/domains/{name}/keys",
        get=on_domain(show),
        post=on_domain(begin),
        needs_to_change=Right.ADMINISTER,
        live=_LIVE,
    ),
    Page(path="/domains/{name}/keys/call-off", post=on_domain(call_off), needs_to_change=Right.ADMINISTER),
    Page(path="/domains/{name}/keys/forget", post=on_domain(forget), needs_to_change=Right.ADMINISTER),
)
