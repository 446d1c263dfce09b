"""Mailbox providers: who runs the mailboxes of a recipient, by the mail server that took or refused the mail, else by the address. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

OTHERS: Final = "Others"
_REMEMBERED: Final = 4096  # pairs of a server and a domain: most mail goes to a few
# By the end of the name of their mail servers: companies' own domains are with these, too.
_BY_SERVER: Final[Mapping[str, str]] = {
    "google.com": "Gmail",
    "googlemail.com": "Gmail",
    "outlook.com": "Microsoft",
    "mx.microsoft": "Microsoft",
    "yahoodns.net": "Yahoo",
    "icloud.com": "iCloud",
    "gmx.net": "GMX and WEB.DE",
    "web.de": "GMX and WEB.DE",
    "kundenserver.de": "IONOS",
    "t-online.de": "T-Online",
    "mail.ru": "Mail.ru",
    "yandex.net": "Yandex",
    "yandex.ru": "Yandex",
    "protonmail.ch": "Proton",
    "messagingengine.com": "Fastmail",
    "zoho.com": "Zoho",
    "zoho.eu": "Zoho",
    "orange.fr": "Orange",
    "libero.it": "Libero",
    "comcast.net": "Comcast",
    "qq.com": "QQ",
    "netease.com": "NetEase",
    "naver.com": "Naver",
    "mimecast.com": "Mimecast",
    "pphosted.com": "Proofpoint",
    "barracudanetworks.com": "Barracuda",
}
# Addresses of the providers themselves, where the mail went through a smart host or was never handed to a server.
_BY_DOMAIN: Final[Mapping[str, str]] = {
    "gmail.com": "Gmail",
    "googlemail.com": "Gmail",
    "outlook.com": "Microsoft",
    "hotmail.com": "Microsoft",
    "live.com": "Microsoft",
    "msn.com": "Microsoft",
    "yahoo.com": "Yahoo",
    "ymail.com": "Yahoo",
    "aol.com": "Yahoo",
    "icloud.com": "iCloud",
    "me.com": "iCloud",
    "mac.com": "iCloud",
    "gmx.de": "GMX and WEB.DE",
    "gmx.net": "GMX and WEB.DE",
    "web.de": "GMX and WEB.DE",
    "t-online.de": "T-Online",
    "mail.ru": "Mail.ru",
    "yandex.ru": "Yandex",
    "proton.me": "Proton",
    "protonmail.com": "Proton",
    "fastmail.com": "Fastmail",
    "qq.com": "QQ",
    "163.com": "NetEase",
}


def provider_of(server: str | None, recipient: str) -> str:
    """The provider of a recipient's mailbox, or `OTHERS`. `server` is the host that answered; None: none did.

    >>> provider_of("aspmx.l.google.com", "ann@corp.example"), provider_of(None, "ann@hotmail.com"), provider_of("mx.corp.example", "a@corp.example")
    ('Gmail', 'Microsoft', 'Others')
    """
    return _find(server or "", recipient.rpartition("@")[2])


@lru_cache(_REMEMBERED)
def _find(server: str, domain: str) -> str:
    name = server.lower().rstrip(".")
    while name:
        if name in _BY_SERVER:
            return _BY_SERVER[name]
        name = name.partition(".")[2]
    return _BY_DOMAIN.get(domain.lower().rstrip("."), OTHERS)
