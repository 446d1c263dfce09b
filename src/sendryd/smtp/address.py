"""Mailboxes and paths of the envelope (RFC 5321 §4.1.2, RFC 6531 §3.3, RFC 5891).

One spelling of each domain: A-labels in lower case. Local parts are kept as they are and quoted again when printed, so that nothing in
them can be read as a parameter or as a second address. Source routes, address literals, percent and bang paths as routes, and domains of
one label (for recipients) are refused; lengths are checked before anything that takes longer than the text is long.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import idna

MAX_PATH: Final = 256  # octets with the angle brackets: RFC 5321 §4.5.3.1.3
MAX_LOCAL_PART: Final = 64  # octets: RFC 5321 §4.5.3.1.1
MAX_DOMAIN: Final = 253  # octets without the final dot: RFC 1035 §2.3.4
_CACHED_DOMAINS: Final = 4096  # IDNA takes 20 microseconds

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_SIMPLE: Final = re.compile(rf"({_ATEXT}+(?:\.{_ATEXT}+)*)@({_LABEL}(?:\.{_LABEL})*)", re.ASCII)
_DOT_ATOM: Final = re.compile(r"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]+(?:\.[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]+)*")
_QUOTED: Final = re.compile(r'"((?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*)"')
_PAIR: Final = re.compile(r"\\(.)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)  # as a last label: what inet_aton reads as an IPv4 address
_UNUSABLE: Final = re.compile("[\x80-\x9f\u2028\u2029\ud800-\udfff]")  # C1 controls, line ends of Unicode, lone surrogates
_JOINERS: Final = frozenset("\u200c\u200d")  # IDNA allows them between some letters, where they are invisible


class AddressError(ValueError):
    """An address is invalid; the message says why, in words for the sender."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A local part and a domain."""

    local_part: str  # unquoted
    domain: str  # A-labels, lower case

    def __str__(self) -> str:
        if _DOT_ATOM.fullmatch(self.local_part):
            return f"{self.local_part}@{self.domain}"
        quoted = self.local_part.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"@{self.domain}'


@dataclass(frozen=True, slots=True)
class ReversePath:
    """The address for failure reports; a mailbox of None is the null reverse-path."""

    mailbox: Mailbox | None

    def __str__(self) -> str:
        return str(self.mailbox) if self.mailbox else ""


@dataclass(frozen=True, slots=True)
class ForwardPath:
    """One recipient."""

    mailbox: Mailbox
    text: str = field(init=False, repr=False, compare=False)  # in the form sent on the wire

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", str(self.mailbox))

    def __str__(self) -> str:
        return self.text


NULL_REVERSE_PATH: Final = ReversePath(None)


def parse_reverse_path(text: str) -> ReversePath:
    """Parses the text between the angle brackets of MAIL FROM. Raises `AddressError`."""
    return ReversePath(parse_mailbox(text)) if text else NULL_REVERSE_PATH


def parse_forward_path(text: str) -> ForwardPath:
    """Parses the text between the angle brackets of RCPT TO. Raises `AddressError`."""
    mailbox = parse_mailbox(text)
    if "." not in mailbox.domain:
        raise AddressError("the domain of a recipient has at least one dot")
    return ForwardPath(mailbox)


def parse_mailbox(text: str) -> Mailbox:
    """A mailbox without angle brackets. Raises `AddressError`."""
    if len(text) + 2 > MAX_PATH:
        raise AddressError(f"an address has at most {MAX_PATH - 2} octets")
    match = _SIMPLE.fullmatch(text)
    if match:
        local_part, domain = match[1], match[2].lower()
        if "xn--" in domain:
            domain = normalise_domain(domain)
        else:
            _check_plain_domain(domain)
        size = len(local_part)
    else:
        local_part, domain = _split(text)
        domain = normalise_domain(domain)
        size = len(local_part.encode())
    if size > MAX_LOCAL_PART:
        raise AddressError(f"the part before the @ has at most {MAX_LOCAL_PART} octets")
    mailbox = Mailbox(local_part, domain)
    if not match and len(str(mailbox).encode()) + 2 > MAX_PATH:  # A-labels and quotes can be longer than what was given
        raise AddressError(f"an address has at most {MAX_PATH - 2} octets")
    return mailbox


def _split(text: str) -> tuple[str, str]:
    if text.startswith("@"):
        raise AddressError("source routes are not supported; give only the mailbox")
    if text.startswith('"'):
        quoted = _QUOTED.match(text)
        if not quoted or text[quoted.end() : quoted.end() + 1] != "@":
            raise AddressError("the quoted part before the @ is not closed, or has characters that must not be in it")
        local_part, domain = _PAIR.sub(r"\1", quoted[1]), text[quoted.end() + 1 :]
        if not local_part:
            raise AddressError("the part before the @ is empty")
    else:
        local_part, at, domain = text.partition("@")
        if not at:
            raise AddressError("an address has an @ and a domain")
        if not _DOT_ATOM.fullmatch(local_part):
            raise AddressError("the part before the @ is empty or has characters that must be quoted")
    if _UNUSABLE.search(local_part):
        raise AddressError("the part before the @ has characters that must not be in it")
    return local_part, domain


@lru_cache(_CACHED_DOMAINS)
def normalise_domain(text: str) -> str:
    """The canonical form of a domain: A-labels in lower case (RFC 5891, UTS #46). Raises `AddressError`."""
    if text.startswith("["):
        raise AddressError("address literals are not supported; give a domain")
    if len(text) > MAX_DOMAIN:
        raise AddressError(f"a domain has at most {MAX_DOMAIN} octets")
    domain = text.lower() if text.isascii() else _to_ascii(text)
    if len(domain) > MAX_DOMAIN or not _DOMAIN.fullmatch(domain):
        raise AddressError("the domain is not one")
    if "xn--" in domain:
        try:
            idna.decode(domain, strict=True)
        except (idna.IDNAError, UnicodeError):
            raise AddressError("the domain has a label that is not valid in IDNA") from None
    _check_plain_domain(domain)
    return domain


def _to_ascii(text: str) -> str:
    try:
        # What a letter is mapped to by itself shows whether it would vanish or become a dot: then what is read and what is meant differ.
        if any(_is_treacherous(letter) for letter in text if not letter.isascii()):
            raise AddressError("the domain has invisible characters or characters that look like dots")
        return idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise AddressError("the domain is not valid in IDNA") from None


def _is_treacherous(letter: str) -> bool:
    mapped = idna.uts46_remap(letter)
    return letter in _JOINERS or not mapped or "." in mapped


def _check_plain_domain(domain: str) -> None:
    if _NUMBER.fullmatch(domain, domain.rfind(".") + 1):
        raise AddressError("an IP address is not a domain")


def needs_smtputf8(mailbox: Mailbox) -> bool:
    """Whether the address needs a peer with SMTPUTF8 (RFC 6531 §3.4)."""
    return not mailbox.local_part.isascii()
