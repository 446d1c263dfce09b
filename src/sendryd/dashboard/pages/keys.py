"""API keys: who may send and read, created once, revoked at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from sendryd.accounts.smtp_sessions import SmtpSums
from sendryd.dashboard.app import Page
from sendryd.dashboard.live import Source
from sendryd.dashboard.snippets import Snippet, snippets
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.actor import Person
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import API_KEY_PREFIX, ApiKeyId, format_id, parse_id
from sendryd.policy.explain.words import count
from sendryd.policy.failingkeys import fails_often
from sendryd.policy.rights import Right
from sendryd.store.errors import LimitReached, NotAllowed, NotFound

GRACES: Final = {"0": timedelta(0), "1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7)}  # of a rotated key
INTERVAL: Final = 10.0  # seconds between two looks: the times of last use are stored every few seconds
MAX_NAME: Final = 100  # characters, as REST allows
LIFETIMES: Final[Mapping[str, timedelta | None]] = {
    "": None,
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "365d": timedelta(days=365),
}
WORDS: Final = {"": "Until it is revoked", "1d": "1 day", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "A year"}
MOST_REQUESTS: Final = 1_000  # of the account, the latest, among which those that failed are counted: about a millisecond


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a key fails often."""

    text: str
    href: str  # of the log


@dataclass(frozen=True, slots=True)
class Row:
    """A key in the list."""

    id: str
    name: str
    prefix: str
    mode: str
    scope: str
    state: str  # active, revoked, expired
    tone: str
    shape: str
    used: Moment | None
    used_from: str
    ends: Moment | None  # a time to come: the key expires, or its overlap is over
    may_change: bool
    faults: tuple[Fault, ...]  # empty unless it fails often


async def show(visit: Visit) -> Response:
    """`GET /keys`."""
    return await _show(visit, {})


async def create(visit: Visit) -> Response:
    """`POST /keys`: creates a key and shows its secret, once."""
    fields = visit.fields
    name = fields.get("name", "").strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        return await _show(visit, fields, wrong=f"Enter a name of 1 to {MAX_NAME} characters, without line breaks.", status=422)
    try:
        mode, scope = KeyMode(fields.get("mode", KeyMode.TEST)), Scope(fields.get("scope", Scope.SENDING_ACCESS))
    except ValueError:
        return await _show(visit, fields, fault="Choose a mode and a scope of the lists.", status=422)
    if fields.get("expires", "") not in LIFETIMES:
        return await _show(visit, fields, fault="Choose a lifetime of the list.", status=422)
    if mode is KeyMode.LIVE and not visit.me.may(Right.ADMINISTER):
        return await _show(visit, fields, fault="Only admins and owners create live keys: create a test key.", status=403)
    try:
        key, secret = await visit.needs.keys.by(visit.author).create(
            _person(visit), name, scope=scope, mode=mode, expires_in=LIFETIMES[fields.get("expires", "")]
        )
    except LimitReached as error:
        return await _show(visit, fields, fault=str(error), status=422)
    return await _show_secret(visit, key, secret)


async def rotate(visit: Visit) -> Response:
    """`POST /keys/{id}/rotate`: a key like an old one, whose secret is shown once; the old one works on for a while."""
    key = await _find(visit)
    if key is None:
        return visit.show("missing.html", "missing", {}, status=404)
    if not _may_change(visit, key):
        return await _show(visit, {}, fault="Only admins and owners rotate live keys.", status=403)
    grace = GRACES.get(visit.fields.get("grace", ""))
    if grace is None:
        return await _show(visit, {}, fault="Choose an overlap of the list.", status=422)
    try:
        made, secret = await visit.needs.keys.by(visit.author).rotate(_person(visit), key.id, grace=grace)
    except NotAllowed:
        return await _show(visit, {}, fault="The key is revoked: create a new one.", status=409)
    return await _show_secret(visit, made, secret)


async def revoke(visit: Visit) -> Response:
    """`POST /keys/{id}/revoke`: revokes a key at once; SMTP sessions that use it end at their next message."""
    key = await _find(visit)
    if key is None:
        return visit.show("missing.html", "missing", {}, status=404)
    if not _may_change(visit, key):
        return await _show(visit, {}, fault="Only admins and owners revoke live keys.", status=403)
    await visit.needs.keys.by(visit.author).revoke(_person(visit), key.id)
    return visit.go("/keys")


async def _find(visit: Visit) -> ApiKey | None:
    number = parse_id(visit.request.path_params["id"], API_KEY_PREFIX)
    try:
        return None if number is None else await visit.needs.keys.get(visit.account_id, ApiKeyId(number))
    except NotFound:
        return None


def _may_change(visit: Visit, key: ApiKey) -> bool:
    return key.mode is KeyMode.TEST or visit.me.may(Right.ADMINISTER)


def _makes_full_access(visit: Visit) -> bool:
    """Whether a new key may do everything with live mail. A form that will be refused needs no proof."""
    is_live = visit.fields.get("mode") == KeyMode.LIVE.value and visit.fields.get("scope") == Scope.FULL_ACCESS.value
    return is_live and visit.me.may(Right.ADMINISTER) and bool(visit.fields.get("name", "").strip())


async def _show_secret(visit: Visit, key: ApiKey, secret: str) -> Response:
    values = {
        "name": key.name,
        "mode": key.mode.value,
        "secret": secret,
        "ends": moment_of(key.expires_at) if key.expires_at else None,
        "snippets": await _snippets(visit, key),
    }
    return visit.show("key_created.html", "keys", values)


async def _show(visit: Visit, typed: Mapping[str, str], *, wrong: str = "", fault: str = "", status: int = 200) -> Response:
    """`wrong` is about the name, `fault` about the rest."""
    form = {name: typed.get(name, "") for name in ("name", "mode", "scope", "expires")}
    values = {**await _read(visit), **form, "lifetimes": tuple(WORDS.items()), "wrong": wrong, "fault": fault}
    return visit.show("keys.html", "keys", values, status=status)


async def _read(visit: Visit) -> Mapping[str, object]:
    keys = await visit.needs.store.list_api_keys(visit.account_id)
    requests = await visit.needs.store.count_requests_of_keys(visit.account_id, most=MOST_REQUESTS)
    sums = dict(visit.needs.smtp_sessions.sums(visit.account_id))
    rows = tuple(
        _row(visit, key, _faults(key, requests.get(key.id, (0, 0)), sums.get(key.id, SmtpSums())))
        for key in sorted(keys, key=lambda each: each.id, reverse=True)
    )
    return {"rows": rows}


def _faults(key: ApiKey, requests: tuple[int, int], sums: SmtpSums) -> tuple[Fault, ...]:
    public_id, (made, failed) = format_id(API_KEY_PREFIX, key.id), requests
    found = []
    if fails_often(sums.refusals, sums.mails):
        found.append(Fault(f"{count(sums.refusals, 'refusal', 'refusals')} over SMTP in 24 hours", f"/log/smtp?q={public_id}"))
    if fails_often(failed, made - failed):
        found.append(Fault(f"{failed:,} of its last {made:,} requests failed", "/log/api"))
    return tuple(found)


def _row(visit: Visit, key: ApiKey, faults: tuple[Fault, ...]) -> Row:
    now = visit.needs.clock.now()
    is_revoked = key.revoked_at is not None and key.revoked_at <= now
    is_active = key.is_active(now)
    ends = min((each for each in (key.revoked_at, key.expires_at) if each), default=None)
    may = visit.me.may(Right.WORK) and _may_change(visit, key)
    return Row(
        id=format_id(API_KEY_PREFIX, key.id),
        name=key.name,
        prefix=key.prefix,
        mode=key.mode.value,
        scope=key.scope.value.replace("_", " "),
        state="active" if is_active else "revoked" if is_revoked else "expired",
        tone="ok" if is_active else "off",
        shape="ok" if is_active else "off",
        used=moment_of(key.last_used_at) if key.last_used_at else None,
        used_from=key.last_used_from,
        ends=moment_of(ends) if is_active and ends else None,
        may_change=may and is_active,
        faults=faults if is_active else (),
    )


async def _snippets(visit: Visit, key: ApiKey) -> tuple[Snippet, ...]:
    """Lines to paste for a key that sends. A live key needs a verified domain; its mail goes to the person who reads the page."""
    domains = await visit.needs.store.list_domains(visit.account_id)
    domain = next((each.name for each in domains if each.status is DomainStatus.VERIFIED), "")
    if key.scope is Scope.READ_ONLY or (key.mode is KeyMode.LIVE and not domain):
        return ()
    return snippets(visit.place(domain, visit.me.signed_in.person.email if key.mode is KeyMode.LIVE else "user@example.org"))


def _person(visit: Visit) -> Person:
    signed_in = visit.me.signed_in
    return Person(visit.account_id, signed_in.person.id, signed_in.membership.role)


PAGES: Final = (
    Page(
        path="/keys",
        get=show,
        post=create,
        proof=_makes_full_access,
        live=Source(page="keys", read=_read, parts={"keys": "keys_rows.html"}, interval=INTERVAL),
    ),
    Page(path="/keys/{id}/rotate", post=rotate, proof=lambda visit: visit.me.may(Right.ADMINISTER)),
    Page(path="/keys/{id}/revoke", post=revoke),
)
