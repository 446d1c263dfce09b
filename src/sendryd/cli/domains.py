"""`sendryd domains`: add, verify, set and remove sending domains, and rotate their DKIM keys."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from sendryd.accounts.dkim_rotation import BadRotation
from sendryd.accounts.domain_settings import BadDomainName, BadDomainSetting, parse_name
from sendryd.accounts.domains import Verification
from sendryd.api.domains.schema import domain_json, verification_json
from sendryd.api.framework.answers import counted_page, timestamp_or_none
from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.cli.opening import AUTHOR, CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import command, print_json, print_line, print_table, say
from sendryd.cli.settings import read_settings
from sendryd.model.domain import DkimKey, DomainStatus, SendingDomain, StsMode, TlsPolicy
from sendryd.model.ids import DOMAIN_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.policy.dkimkeys import all_keys, key_record, safe_to_remove
from sendryd.policy.inboundrecords import OF_INBOUND
from sendryd.policy.wayout import BadWayOut, parse_way_out
from sendryd.store.errors import Conflict, NotFound

app = typer.Typer(name="domains", no_args_is_help=True, help="Add, verify, set and remove sending domains, and rotate their DKIM keys.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A domain, for example example.com.")]
_BOOLEANS = {"true": True, "false": False}
_SETTINGS = (
    "include_subdomains",
    "status_reports",
    "track_opens",
    "track_clicks",
    "tls_policy",
    "custom_return_path",
    "mta_sts",
    "delivery",
    "pool",
    "smarthost",
)


def _show(domain: SendingDomain, *, as_json: bool) -> None:
    if as_json:
        print_json(domain_json(domain))
        return
    say(f"{domain.name} is {domain.status.value}. DNS records to publish:")
    for record in domain.records:
        advised = "optional" if record.purpose in OF_INBOUND else "advised, not required"
        wrong = "missing or wrong" if record.is_required else advised
        mark = "ok" if record.is_verified else wrong if record.reason else "not checked yet"
        print_line(record.name, record.type, record.value)
        say(f"  {mark}{': ' + record.reason if record.reason else ''}")
    if domain.status is not DomainStatus.VERIFIED:
        say(
            f"Publish the records that are not ok in the DNS of {domain.name}, then run {command(f'domains verify {domain.name}')}."
            " A running server also checks by itself: each minute in the first hour, then less often."
        )
    settings = read_settings()
    if "." not in settings.hostname and not settings.spf_include:
        say(
            f"The SPF record names {settings.hostname}, which has no public DNS records: set SENDRYD_HOSTNAME to this server's name in DNS first."
        )


async def _find(basics: Basics, name: str) -> SendingDomain:
    try:
        domain = await basics.store.find_domain(DEFAULT_ACCOUNT, parse_name(name))
    except BadDomainName as error:
        raise CommandFailed(str(error)) from None
    if domain is None:
        raise CommandFailed(f"there is no domain {name}; {command(f'domains add {name}')} adds it")
    return domain


@app.command()
def add(name: Name, as_json: Json = False) -> None:
    """Add a domain and print the DNS records to publish."""

    async def work(basics: Basics) -> SendingDomain:
        try:
            return await basics.domains.by(AUTHOR).add(DEFAULT_ACCOUNT, name)
        except BadDomainName as error:
            raise CommandFailed(str(error)) from None
        except Conflict:
            raise CommandFailed(f"the domain {name} exists already; {command(f'domains show {name}')} shows it") from None

    _show(with_store(work), as_json=as_json)


@app.command("list")
def list_domains(as_json: Json = False) -> None:
    """List all domains."""

    async def work(basics: Basics) -> list[SendingDomain]:
        return await basics.store.list_domains(DEFAULT_ACCOUNT)

    domains = with_store(work)
    if as_json:
        items = [domain_json(domain) for domain in domains]
        print_json(counted_page(items, has_more=False, total=len(items)))
    else:
        print_table(
            ("name", "status"),
            [(domain.name, domain.status.value) for domain in domains],
            if_empty=f"There are no domains; {command('domains add NAME')} adds one.",
        )


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Print a domain's DNS records, and what the last check found."""
    _show(with_store(lambda basics: _find(basics, name)), as_json=as_json)


@app.command()
def verify(name: Name, as_json: Json = False) -> None:
    """Look up the published records now, and print what is missing or wrong."""

    async def work(basics: Basics) -> Verification:
        return await basics.domains.verify(await _find(basics, name))

    done = with_store(work)
    if as_json:
        print_json({**domain_json(done.domain), **verification_json(done.domain, done.found)})
    else:
        _show(done.domain, as_json=False)


@app.command("set")
def set_(
    name: Name,
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Settings to change.")],
    as_json: Json = False,
) -> None:
    """Set include_subdomains, status_reports, track_opens, track_clicks, tls_policy, custom_return_path, mta_sts, delivery, pool or
    smarthost.

    mta_sts is what the policy asks of servers that send mail to the domain: none, testing or enforce.

    delivery is the way out of the domain's mail: live, capture (it stays in the Test Inbox), redirect:ADDRESS (all of it goes there) or
    copy:ADDRESS (a copy goes there). Mail that is accepted already stays on its way. pool is the pool of SENDRYD_EGRESS whose addresses its mail
    leaves from; empty: the default.

    smarthost takes the domain's mail in place of the recipients' servers: smtp://USER:PASSWORD@HOST:PORT (STARTTLS), smtps:// (TLS from the start)
    or smtp+notls:// (clear text); empty: none. The password is not shown again.
    """
    values = dict(_parse_change(change) for change in changes)

    async def work(basics: Basics) -> SendingDomain:
        domain = await _find(basics, name)
        try:
            return await basics.domains.by(AUTHOR).change(domain.id, lambda settings: replace(settings, **values), is_operator=True)
        except BadDomainSetting as error:
            raise CommandFailed(str(error)) from None

    domain = with_store(work)
    if as_json:
        print_json(domain_json(domain))
    else:
        shown = [f"smarthost={domain.settings.smarthost}" if each.startswith("smarthost=") else each for each in changes]
        say(f"{domain.name}: {', '.join(shown)}")


def _parse_change(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or key not in _SETTINGS:
        raise typer.BadParameter(f"{text}: write KEY=VALUE with one of {', '.join(_SETTINGS)}")
    if key == "tls_policy":
        if value not in set(TlsPolicy):
            raise typer.BadParameter(f"tls_policy is one of {', '.join(TlsPolicy)}")
        return key, TlsPolicy(value)
    if key == "mta_sts":
        if value not in set(StsMode):
            raise typer.BadParameter(f"mta_sts is one of {', '.join(StsMode)}")
        return key, StsMode(value)
    if key in {"pool", "smarthost"}:
        return key, value
    if key == "delivery":
        return key, _parse_way_out(value)
    if key == "custom_return_path":
        return key, _parse_return_path(value) if value else None
    if value not in _BOOLEANS:
        raise typer.BadParameter(f"{key} is true or false")
    return key, _BOOLEANS[value]


def _parse_return_path(name: str) -> str:
    try:
        return parse_name(name)
    except BadDomainName as error:
        raise typer.BadParameter(f"custom_return_path: {error}") from None


def _parse_way_out(text: str) -> str:
    try:
        return str(parse_way_out(text))
    except BadWayOut as error:
        raise typer.BadParameter(f"delivery: {error}") from None


@app.command()
def keys(name: Name, as_json: Json = False) -> None:
    """List a domain's DKIM keys: the one that signs, the next one, and those that have signed."""

    async def work(basics: Basics) -> list[dict[str, object]]:
        domain = await _find(basics, name)
        found = all_keys(domain, await basics.store.list_dkim_keys(domain.id))
        return [_key_json(domain, key, basics.settings.max_queue_age) for key in found]

    found = with_store(work)
    if as_json:
        print_json(counted_page(found, has_more=False, total=len(found)))
        return
    print_table(
        ("selector", "state", "safe to remove from"),
        [(str(key["selector"]), str(key["state"]), str(key["safe_to_remove_at"] or "")) for key in found],
        if_empty="",
    )


@app.command()
def rotate(
    name: Name,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When the new key signs, as 2027-03-03T09:00Z; once its record is found, if left out."),
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Remove the pending key.")] = False,
    as_json: Json = False,
) -> None:
    """Make the next DKIM key and print the record to publish. It signs once a check has found the record and its time has come."""
    starts_at = _parse_time(at) if at else None

    async def work(basics: Basics) -> tuple[SendingDomain, DkimKey, timedelta]:
        domain = await _find(basics, name)
        rotation = basics.domains.by(AUTHOR).rotation
        try:
            key = await (rotation.call_off(domain) if cancel else rotation.begin(domain, starts_at))
        except BadRotation as error:
            raise CommandFailed(str(error)) from None
        except Conflict:
            raise CommandFailed(f"{name} has a pending key; {command(f'domains keys {name}')} shows it") from None
        except NotFound:
            raise CommandFailed(f"{name} has no pending key") from None
        return domain, key, basics.settings.max_queue_age

    domain, key, lifetime = with_store(work)
    if as_json:
        print_json(_key_json(domain, key, lifetime))
    elif cancel:
        say(f"The key {key.selector} of {domain.name} is removed; the present one goes on signing.")
    else:
        record = key_record(domain.name, key)
        print_line(record.name, record.type, record.value)
        say(
            "Publish this record, and leave that of the present key. A running server looks for it each minute, and then signs with the new key."
        )


def _key_json(domain: SendingDomain, key: DkimKey, queue_lifetime: timedelta) -> dict[str, object]:
    record = key_record(domain.name, key)
    return {
        "selector": key.selector,
        "state": key.state.value,
        "record": {"type": record.type, "name": record.name, "value": record.value},
        "created_at": timestamp(key.created_at),
        "starts_at": timestamp(key.starts_at),
        "seen_at": timestamp_or_none(key.seen_at),
        "active_at": timestamp_or_none(key.active_at),
        "retired_at": timestamp_or_none(key.retired_at),
        "safe_to_remove_at": timestamp(safe_to_remove(key.retired_at, queue_lifetime)) if key.retired_at else None,
    }


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text}: write a time as 2027-03-03T09:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


@app.command()
def remove(name: Name, as_json: Json = False) -> None:
    """Remove a domain and its DKIM key. Its waiting mail is held until the domain is added again and verified."""

    async def work(basics: Basics) -> tuple[SendingDomain, int]:
        domain = await _find(basics, name)
        return domain, await basics.domains.by(AUTHOR).remove(domain)

    domain, held = with_store(work)
    if as_json:
        print_json({"id": format_id(DOMAIN_PREFIX, domain.id), "deleted": True, "held": held})
        return
    say(f"{domain.name} is removed.")
    if held:
        deliveries = "1 waiting delivery is" if held == 1 else f"{held} waiting deliveries are"
        say(f"{deliveries} held until {domain.name} is added again and verified; {command('queue list --state held')} lists it.")
