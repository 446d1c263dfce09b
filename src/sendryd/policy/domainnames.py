"""Doubts about a name that is given as a sending domain: a subdomain, a slip of the fingers, a mailbox host. Pure."""

from collections.abc import Collection, Sequence
from typing import Final

# Senders at such a host can prove nothing: the domain is another's.
MAILBOX_HOSTS: Final = frozenset((
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com", "icloud.com", "me.com",
    "mac.com", "aol.com", "gmx.de", "gmx.net", "gmx.com", "web.de", "t-online.de", "freenet.de", "proton.me", "protonmail.com", "mail.ru",
    "yandex.ru", "yandex.com", "qq.com", "163.com", "126.com", "naver.com", "zoho.com", "fastmail.com", "hey.com", "tutanota.com",
    "orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "libero.it", "comcast.net", "verizon.net", "att.net",
))  # fmt: skip
MAX_SLIPS: Final = 1  # letters added, left out, exchanged or swapped with a neighbour that make one name another by mistake


def is_mailbox_host(name: str) -> bool:
    """Whether the domain belongs to a provider of mailboxes for the public."""
    return name in MAILBOX_HOSTS


def doubt(name: str, organisation: str, known: Collection[str]) -> str:
    """Why a new domain is perhaps not the one that is meant, in a sentence or two; empty without a doubt. `organisation` is its organisational
    domain, `known` the account's other domains.
    """
    near = find_near(name, known)
    if near:
        return f"{name} looks like {near}. Remove it if that is the domain that you mean."
    if organisation != name and organisation not in known:
        return f"{name} is a subdomain: mail from {organisation} itself needs that domain, which can send for its subdomains, too."
    return ""


def find_near(name: str, known: Collection[str]) -> str:
    """A known name, or a mailbox host, that this one may be a slip of; empty if there is none."""
    others = [*sorted(known), *sorted(MAILBOX_HOSTS)]
    return next((other for other in others if other != name and is_slip(name, other)), "")


def is_slip(name: str, other: str) -> bool:
    """Whether one slip of the fingers makes one of the names the other. Names of other first labels that differ in their endings are none."""
    if abs(len(name) - len(other)) > MAX_SLIPS or len(name) < 6:
        return False
    if len(name) == len(other):
        wrong = [at for at, (one, two) in enumerate(zip(name, other, strict=True)) if one != two]
        return len(wrong) == 1 or _is_swapped(name, other, wrong)
    short, long = sorted((name, other), key=len)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


def _is_swapped(name: str, other: str, wrong: Sequence[int]) -> bool:
    return len(wrong) == 2 and wrong[1] == wrong[0] + 1 and name[wrong[0]] == other[wrong[1]] and name[wrong[1]] == other[wrong[0]]
