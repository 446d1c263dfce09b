"""`sendryd domains`: add, verify, set and remove sending domains."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from sendryd.accounts.domains import BadDomainName, BadDomainSetting, parse_name
from sendryd.api.domains.schema import domain_json
from sendryd.api.framework.answers import counted_page
from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.cli.opening import CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import command, print_json, print_line, print_table, say
from sendryd.cli.settings import read_settings
from sendryd.model.domain import DomainStatus, SendingDomain, TlsPolicy
from sendryd.model.ids import DOMAIN_PREFIX, format_id
from sendryd.store.errors import Conflict

app = typer.Typer(name="domains", no_args_is_help=True, help="Add, verify, set and remove sending domains.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A domain, for example example.com.")]
_BOOLEANS = {"true": True, "false": False}
_SETTINGS = ("include_subdomains", "track_opens", "track_clicks", "tls_policy", "custom_return_path")


def _show(domain: SendingDomain, *, as_json: bool) -> None:
    if as_json:
        print_json(domain_json(domain))
        return
    say(f"{domain.name} is {domain.status.value}. DNS records to publish:")
    for record in domain.records:
        wrong = "missing or wrong" if record.is_required else "advised, not required"
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
            return await basics.domains.add(DEFAULT_ACCOUNT, name)
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

    async def work(basics: Basics) -> SendingDomain:
        return (await basics.domains.verify(await _find(basics, name))).domain

    _show(with_store(work), as_json=as_json)


@app.command("set")
def set_(
    name: Name,
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Settings to change.")],
    as_json: Json = False,
) -> None:
    """Set include_subdomains, track_opens, track_clicks, tls_policy or custom_return_path."""
    values = dict(_parse_change(change) for change in changes)

    async def work(basics: Basics) -> SendingDomain:
        domain = await _find(basics, name)
        try:
            return await basics.domains.change(domain.id, lambda settings: replace(settings, **values))
        except BadDomainSetting as error:
            raise CommandFailed(str(error)) from None

    domain = with_store(work)
    if as_json:
        print_json(domain_json(domain))
    else:
        say(f"{domain.name}: {', '.join(changes)}")


def _parse_change(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or key not in _SETTINGS:
        raise typer.BadParameter(f"{text}: write KEY=VALUE with one of {', '.join(_SETTINGS)}")
    if key == "tls_policy":
        if value not in set(TlsPolicy):
            raise typer.BadParameter(f"tls_policy is one of {', '.join(TlsPolicy)}")
        return key, TlsPolicy(value)
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


@app.command()
def remove(name: Name, as_json: Json = False) -> None:
    """Remove a domain and its DKIM key. Its waiting mail is held until the domain is added again and verified."""

    async def work(basics: Basics) -> tuple[SendingDomain, int]:
        domain = await _find(basics, name)
        return domain, await basics.domains.remove(domain)

    domain, held = with_store(work)
    if as_json:
        print_json({"id": format_id(DOMAIN_PREFIX, domain.id), "deleted": True, "held": held})
        return
    say(f"{domain.name} is removed.")
    if held:
        deliveries = "1 waiting delivery is" if held == 1 else f"{held} waiting deliveries are"
        say(f"{deliveries} held until {domain.name} is added again and verified; {command('queue list --state held')} lists it.")
