"""Parses a mailbox in a field of a request: an address, or a name and an address in angle brackets.

The name is text, not syntax: encoded words in it are ordinary characters, and the header writer encodes it. Text that could be read as several
mailboxes (lists, groups, source routes, stray brackets) is refused, and so is every character that is unsafe in a header. Linear; lengths are
checked first.
"""

import re
from dataclasses import dataclass
from typing import Final

from sendryd.message.author import MAX_LOCAL_PART, normalise_domain
from sendryd.message.errors import MalformedMessage

MAX_ADDRESS: Final = 254  # octets: a path of RFC 5321 §4.5.3.1.3 without its angle brackets
MAX_NAME: Final = 800  # octets of UTF-8: with it encoded and an address after it, a From field stays within the 2,000 that are read
_MAX_TEXT: Final = 4 * MAX_NAME  # characters; room for a name with every second letter escaped, and the longest address

# Controls of ASCII and Latin-1, line ends of Unicode, and lone surrogates: none of them may reach a header.
FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ATEXT: Final = r"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]"
_DOT_ATOM: Final = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PAIR: Final = re.compile(r"\\(.)")
_UNQUOTED_NAME: Final = re.compile(r'[^<>\[\]:;@\\,"]*')


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name, which may be empty, and an address."""

    name: str  # for display: without quotes
    local_part: str  # unquoted
    domain: str  # A-labels, lower case

    @property
    def address(self) -> str:
        """The address as written in a header or an envelope, with the local part in quotes if needed."""
        if _DOT_ATOM.fullmatch(self.local_part):
            return f"{self.local_part}@{self.domain}"
        quoted = self.local_part.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"@{self.domain}'

    @property
    def is_ascii(self) -> bool:
        """Whether the address can be given to a peer that does not offer SMTPUTF8 (RFC 6531 §3.4); the name can be encoded anyway."""
        return self.local_part.isascii()


def parse_mailbox(text: str) -> Mailbox:
    """Reads `address`, `Name <address>` or `"Name, quoted" <address>`. Raises `MalformedMessage` with a sentence that says what to change."""
    if len(text) > _MAX_TEXT:
        raise MalformedMessage(f"the address is longer than {_MAX_TEXT} characters with its name; shorten it")
    if FORBIDDEN.search(text):
        raise MalformedMessage("the address has a control character, a line break or half a character; remove it")
    text = text.strip(" ")
    if not text:
        raise MalformedMessage("the address is empty; write it as name@domain")
    if not text.endswith(">"):
        return _make("", *_split(text))
    name, rest = _read_name(text)
    inner = rest[1:-1].strip(" ")
    if name == inner:
        name = ""  # some programs write the address as its own name
    elif "<" in name and "@" in name and inner not in name:
        raise MalformedMessage("the name before the address hides another address; leave that out")
    return _make(name, *_split(inner))


def _read_name(text: str) -> tuple[str, str]:
    """The name, and the rest from its angle bracket on."""
    quoted = _QUOTED.match(text)
    if quoted:
        name, rest = _PAIR.sub(r"\1", quoted[1]), text[quoted.end() :].lstrip(" ")
    else:
        position = text.index("<") if "<" in text else 0
        name, rest = text[:position].strip(" "), text[position:]
        if not _UNQUOTED_NAME.fullmatch(name) and name != rest[1:-1]:
            raise MalformedMessage('give exactly one address; a name with any of , : ; @ < > [ ] " \\ in it goes into double quotes')
    if not rest.startswith("<"):
        raise MalformedMessage("behind the name there must be one address in angle brackets and nothing else")
    name = name.strip()
    if len(name.encode()) > MAX_NAME:
        raise MalformedMessage(f"the name before the address is longer than {MAX_NAME} octets; shorten it")
    return name, rest


def _split(text: str) -> tuple[str, str]:
    """The local part, unquoted, and the domain as written."""
    if text.startswith("@"):
        raise MalformedMessage("source routes are not supported; give only the address")
    quoted = _QUOTED.match(text)
    if quoted:
        local_part, rest = _PAIR.sub(r"\1", quoted[1]), text[quoted.end() :]
        at, domain = rest[:1], rest[1:]
    else:
        local_part, at, domain = text.partition("@")
    if at != "@" or not local_part:
        raise MalformedMessage("an address is written as name@domain")
    if not quoted and not _DOT_ATOM.fullmatch(local_part):
        raise MalformedMessage(
            "the part before the @ has characters or dots in places that must be in double quotes; give exactly one address"
        )
    return local_part, domain


def _make(name: str, local_part: str, domain: str) -> Mailbox:
    if len(local_part.encode()) > MAX_LOCAL_PART:
        raise MalformedMessage(f"the part before the @ is longer than {MAX_LOCAL_PART} octets")
    if domain.startswith("["):
        raise MalformedMessage("address literals are not supported; give a domain")
    try:
        mailbox = Mailbox(name, local_part, normalise_domain(domain))
    except MalformedMessage:
        raise MalformedMessage("what is behind the @ is not a domain; give exactly one address, as name@example.com") from None
    if len(mailbox.address.encode()) > MAX_ADDRESS:
        raise MalformedMessage(f"the address is longer than {MAX_ADDRESS} octets")
    return mailbox
