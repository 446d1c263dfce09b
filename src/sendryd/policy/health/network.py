"""Judgements on what other servers see of this one: its name, its addresses, its way out."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sendryd.policy.explain.words import listing
from sendryd.policy.health.finding import Check, Finding, advised, right, unknown, wrong

# Spamhaus answers 127.255.255.0/24 to questions that it does not serve; so do lists that follow its convention.
_LIST_REFUSES: Final = ipaddress.ip_network("127.255.255.0/24")
_LISTED: Final = ipaddress.ip_network("127.0.0.0/8")  # RFC 5782 §2.1


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """DNS gave no answer."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """A try to reach a server."""

    host: str
    failure: str = ""  # why not; empty if it greeted


def judge_resolver(answered: bool, asked: Sequence[str], resolver: str) -> Finding:
    """Whether the resolver answers at all. `resolver`: its address, or empty for the system's."""
    if answered:
        return right(Check.RESOLVER, "The DNS resolver answers.")
    name = f"The DNS resolver {resolver}" if resolver else "The system's DNS resolver"
    return wrong(
        Check.RESOLVER,
        f"{name} gave no answer about {', '.join(asked)}: no mail can be delivered.",
        "Correct /etc/resolv.conf, or set SENDRYD_DNS_RESOLVER to the address of a resolver that answers.",
    )


def judge_host_name(hostname: str, addresses: Sequence[str] | NoAnswer, *, allow_private: bool) -> Finding:
    """Whether others can look up the name that we greet with (RFC 5321 §2.3.5)."""
    fix = "Set SENDRYD_HOSTNAME to the name that this server has in DNS, as mail.example.com."
    if "." not in hostname or hostname.endswith(".localdomain"):
        return wrong(Check.HOST_NAME, f"The host name is {hostname}, which other servers cannot look up.", fix, hostname)
    if isinstance(addresses, NoAnswer):
        return unknown(Check.HOST_NAME, f"DNS gave no answer about {hostname}: {addresses.reason}.", "Check again.", hostname)
    if not addresses:
        return wrong(
            Check.HOST_NAME,
            f"The host name {hostname} has no address in DNS.",
            f"Publish an A record for {hostname} with this server's address, or set SENDRYD_HOSTNAME to a name that has one.",
            hostname,
        )
    private = [each for each in addresses if not ipaddress.ip_address(each).is_global]
    if private and not allow_private:
        return wrong(
            Check.HOST_NAME,
            f"The host name {hostname} points to {private[0]}, which the internet cannot reach.",
            f"Publish this server's public address for {hostname}.",
            hostname,
        )
    return right(Check.HOST_NAME, f"The host name {hostname} is {', '.join(addresses)}.", hostname)


def judge_ptr(hostname: str, address: str, names: Sequence[str] | NoAnswer, confirmed: Sequence[str]) -> Finding:
    """Whether an address has a name that leads back to it (RFC 1912 §2.1).

    `names` are its PTR records; `confirmed` those of them whose own addresses include this one.
    """
    fix = f"Have your hosting provider set the PTR record of {address} to {hostname}."
    if isinstance(names, NoAnswer):
        return unknown(Check.PTR, f"DNS gave no answer about the PTR record of {address}: {names.reason}.", "Check again.", address)
    if not names:
        return wrong(Check.PTR, f"The address {address} has no PTR record: many servers refuse mail from it.", fix, address)
    if hostname in confirmed:
        return right(Check.PTR, f"The PTR record of {address} is {hostname}.", address)
    found = ", ".join(names)
    if confirmed:
        return advised(Check.PTR, f"The PTR record of {address} is {found}, not {hostname}.", fix, address)
    return wrong(Check.PTR, f"The PTR record of {address} is {found}, which does not lead back to the address.", fix, address)


def judge_source(address: str, fault: str) -> Finding:
    """Whether mail can leave from an address. `fault`: why it cannot be bound; empty if it can."""
    if not fault:
        return right(Check.EGRESS, f"Mail can leave from {address}.", address)
    return wrong(
        Check.EGRESS,
        f"No mail can leave from {address}: {fault}.",
        f"Add {address} to a network interface of this machine, or take it out of SENDRYD_EGRESS.",
        address,
    )


def judge_hello_name(name: str, address: str, addresses: Sequence[str] | NoAnswer) -> Finding:
    """Whether the name that EHLO says from an address leads to it (RFC 5321 §4.1.4). `addresses` are those of the name."""
    about = f"{name} for {address}"
    if isinstance(addresses, NoAnswer):
        return unknown(Check.EGRESS, f"DNS gave no answer about {name}: {addresses.reason}.", "Check again.", about)
    if address in addresses:
        return right(Check.EGRESS, f"The name {name} leads to {address}.", about)
    found = f"leads to {', '.join(addresses)}" if addresses else "has no address in DNS"
    kind = "AAAA" if ":" in address else "A"
    return wrong(
        Check.EGRESS,
        f"The name {name}, which EHLO says from {address}, {found}.",
        f"Publish an {kind} record for {name} with {address}, or give the address another name in SENDRYD_EGRESS.",
        about,
    )


def judge_pools(unknown_pools: Sequence[tuple[str, str]]) -> Finding:
    """Whether each domain's pool is configured. Given are the domains whose pool is not, with the pool."""
    if not unknown_pools:
        return right(Check.EGRESS, "Each domain's address pool is configured.")
    named = ", ".join(f"{domain} ({pool})" for domain, pool in unknown_pools)
    return wrong(
        Check.EGRESS,
        f"Mail of these domains waits, because their address pool is not configured: {named}.",
        "Add the pool to SENDRYD_EGRESS, or give the domain another one: sendryd domains set NAME pool=POOL.",
    )


def judge_port_25(tries: Sequence[Dialled], port: int) -> Finding:
    """Whether mail can leave. One server that greets is proof enough."""
    if not tries:
        return unknown(
            Check.PORT_25, f"Whether port {port} is open for outgoing mail could not be tried: DNS names no server to try.", "Check again."
        )
    reached = [each.host for each in tries if not each.failure]
    if reached:
        return right(Check.PORT_25, f"Outgoing port {port} is open: {reached[0]} answers.")
    reasons = "; ".join(f"{each.host}: {each.failure}" for each in tries)
    return wrong(
        Check.PORT_25,
        f"No server can be reached on port {port} ({reasons}).",
        f"Ask your hosting provider to open outgoing port {port}, or set SENDRYD_SMARTHOST.",
    )


def judge_smart_host(tried: Dialled) -> Finding:
    """Whether the smart host answers."""
    if not tried.failure:
        return right(Check.SMART_HOST, f"The smart host {tried.host} answers.", tried.host)
    return wrong(
        Check.SMART_HOST,
        f"The smart host {tried.host} cannot be reached: {tried.failure}.",
        "Correct SENDRYD_SMARTHOST, or open the way to this host.",
        tried.host,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSmartHost:
    """A smart host that domains or accounts name in their settings."""

    host: str
    port: int
    is_encrypted: bool  # TLS from the start
    may_be_private: bool  # an operator has named it, for each of them
    domains: tuple[str, ...]  # at least one, or one account
    accounts: tuple[str, ...]  # their public ids

    @property
    def place(self) -> str:
        """`out.example:587`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def owners(self) -> str:
        """Whose it is, in words."""
        return listing((*self.domains, *(f"the account {each}" for each in self.accounts)))

    @property
    def command(self) -> str:
        """What changes it. Without a URL it takes it away."""
        return (
            f"sendryd domains set {self.domains[0]} smarthost="
            if self.domains
            else f"sendryd account set --id {self.accounts[0]} smarthost="
        )


def judge_named_smart_host(named: NamedSmartHost, failure: str) -> Finding:
    """Whether the smart host of domains answers. `failure`: why not; empty if it does."""
    about = named.place
    if not failure:
        return right(Check.SMART_HOST, f"The smart host {named.place} of {named.owners} answers.", about)
    return wrong(
        Check.SMART_HOST,
        f"The smart host {named.place} of {named.owners} cannot be reached: {failure}. Mail waits for it.",
        f"Open the way to this host, or name another one: {named.command}URL ({named.command} alone: mail goes to its receivers).",
        about,
    )


def judge_private_smart_host(named: NamedSmartHost, address: str) -> Finding:
    """One at an address inside the network, which is not connected to unless an operator has named it."""
    return wrong(
        Check.SMART_HOST,
        f"The smart host {named.place} of {named.owners} has the private address {address}, which only an operator may name. Mail waits for it.",
        f"If that is meant, name it by the command line: {named.command}URL.",
        named.place,
    )


def judge_block_list(zone: str, address: str, answers: Sequence[str] | NoAnswer) -> Finding:
    """Whether a DNS block list names an address (RFC 5782 §2.1)."""
    about = f"{address} on {zone}"
    if isinstance(answers, NoAnswer):
        return unknown(Check.BLOCK_LIST, f"The block list {zone} gave no answer: {answers.reason}.", "Check again.", about)
    found = [ipaddress.ip_address(each) for each in answers]
    if any(each in _LIST_REFUSES for each in found):
        return unknown(
            Check.BLOCK_LIST,
            f"The block list {zone} does not answer this resolver.",
            "Set SENDRYD_DNS_RESOLVER to a resolver of your own: the list refuses public ones.",
            about,
        )
    if any(each in _LISTED for each in found):
        return wrong(
            Check.BLOCK_LIST, f"The block list {zone} names {address}.", f"Ask {zone} why, mend that, and ask to be taken off.", about
        )
    return right(Check.BLOCK_LIST, f"The block list {zone} does not name {address}.", about)


def block_list_name(zone: str, address: str) -> str:
    """The name to ask a block list about an address (RFC 5782 §2.1, §2.4)."""
    reversed_name = ipaddress.ip_address(address).reverse_pointer
    return f"{reversed_name.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"


def judge_http(listen: str, public_url: str, *, is_encrypted: bool, is_loopback: bool) -> Finding:
    """Whether API keys and links are encrypted on their way."""
    if not is_encrypted and not is_loopback:
        return wrong(
            Check.HTTP,
            f"The REST API at {listen} takes API keys in clear text.",
            "Set SENDRYD_HTTP_TLS=true, or listen on loopback and let a proxy with TLS in front.",
        )
    if not public_url:
        return advised(
            Check.HTTP,
            "Links in mail (tracking, unsubscribing) lead to this machine's own address: no public URL is set.",
            "Set SENDRYD_PUBLIC_URL to the https:// address at which recipients reach this server.",
        )
    if public_url.startswith("http://") and not is_loopback:
        return advised(
            Check.HTTP, f"Links in mail lead to {public_url}, which is not encrypted.", "Set SENDRYD_PUBLIC_URL to an https:// address."
        )
    return right(Check.HTTP, f"The REST API listens at {listen}; links in mail lead to {public_url}.")
