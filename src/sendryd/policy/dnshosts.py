"""Where the DNS of a domain is kept, by the names of its servers. Pure."""

from collections.abc import Sequence
from typing import Final

# What the server's name contains, and the name of its service.
_HOSTS: Final = {
    ".ns.cloudflare.com": "Cloudflare",
    ".awsdns-": "Amazon Route 53",
    ".azure-dns.": "Azure DNS",
    ".googledomains.com": "Google Cloud DNS",
    ".domaincontrol.com": "GoDaddy",
    ".registrar-servers.com": "Namecheap",
    ".gandi.net": "Gandi",
    ".hetzner.": "Hetzner",
    ".ovh.": "OVH",
    ".anycast.me": "OVH",
    ".ui-dns.": "IONOS",
    ".digitalocean.com": "DigitalOcean",
    ".dnsimple.": "DNSimple",
    ".nsone.net": "NS1",
    ".linode.com": "Linode",
    ".vercel-dns.com": "Vercel",
    ".inwx.": "INWX",
    ".porkbun.com": "Porkbun",
    ".squarespacedns.com": "Squarespace",
    ".wixdns.net": "Wix",
}


def name_dns_host(servers: Sequence[str]) -> str:
    """The service that serves a domain: by name if it is a known one, else the domain of the first server; empty without servers."""
    if not servers:
        return ""
    first = servers[0]
    known = next((name for mark, name in _HOSTS.items() if mark in first), "")
    return known or first.partition(".")[2] or first
