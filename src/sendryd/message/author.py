"""Parses the header From so strictly that no reader can see another author in it; decodes addresses for display.

Accepted: exactly one mailbox, as a bare address or as a phrase of words, quoted strings and encoded words followed by one address in angle
brackets; comments and white space before, after and between these and around the @ (RFC 5322 §3.2.2, §3.4.1). Refused: groups, lists, source
routes, comments with an address in them, comments with a dot inside an address, and stray characters. Readers disagree about these, and each
disagreement can show an author who did not send the message (RFC 5322 §3.4 allows more than is safe).

An encoded word is one word whatever it contains, and is decoded after the field is parsed (RFC 2047 §6.2). A raw comma or colon in an encoded
word, which some programs write although §5 (3) forbids it, cannot produce another author: no part of it has an @ or an angle bracket.
"""

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import idna

from sendryd.message.charset import decode, decode_undeclared, one_line
from sendryd.message.errors import MalformedMessage

MAX_FROM: Final = 2000  # octets; real names are shorter. Parsing takes time linear in it
MAX_LOCAL_PART: Final = 64  # octets: RFC 5321 §4.5.3.1.1
MAX_DOMAIN: Final = 253  # octets
MAX_LISTED: Final = 1000  # addresses listed of one field

_ATEXT: Final = r"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)
_LOCAL_WORD: Final = rf'(?:{_ATEXT}+|"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])+")'
_ADDRESS: Final = re.compile(rf'[ \t]*({_LOCAL_WORD}(?:\.{_LOCAL_WORD})*)[ \t]*@[ \t]*([^\x00-\x20\x7f()<>\[\]:;@\\,"]+)')
_LOCAL_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_OUTSIDE_COMMENTS: Final = re.compile(r'[^()"\\]+|"(?:[^"\\]|\\.)*"|\\.?|"', re.DOTALL)  # a run of them, or a quoted string as a whole
_IN_COMMENT: Final = re.compile(r"[^()\\]+|\\.|[()]", re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^\x00-\x08\x0a-\x1f\x7f"\\]|\\[\x20-\x7e])*)"')
_WORD: Final = re.compile(r"[^\x00-\x20\x7f()<>\[\]:;@\\,\"]+")
_SIMPLE: Final = re.compile(
    rb"[A-Za-z0-9._+-]{1,64}@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9])"
)
_ENCODED: Final = re.compile(r"=\?([A-Za-z0-9_-]{1,40})(?:\*[A-Za-z-]*)?\?([bBqQ])\?([!->@-~]*)\?=", re.ASCII)
_ENCODED_WORD: Final = re.compile(r"=\?[A-Za-z0-9_-]{1,40}(?:\*[A-Za-z-]{0,40})?\?[bBqQ]\?[^\x00-\x20\x7f?()<>@\"\\]*\?=", re.ASCII)
_TREACHEROUS: Final = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3002\ufe00-\ufe0f\ufeff\uff0e\uff61]"
)
_DOTTED_COMMENT: Final = (
    "\x01"  # replaces a comment with a dot: white space outside an address; inside one, part of the comment could be read as a domain
)
_BLANKS: Final = " \t" + _DOTTED_COMMENT
_HIDING: Final = frozenset("<>@\r\n\0")  # characters by which a careless reader sees a second address
_REASON: Final = "the {field} field is not exactly one mailbox; write it as Name <address@domain>"
_BAD_DOMAIN: Final = "the domain in the {field} field is not a full domain name such as example.com"
_QUOTE_NAME: Final = (
    "the {field} field is not exactly one mailbox; put a name with commas, brackets or other punctuation into double quotes: "
    '"Acme, Inc." <address@domain>'
)


@dataclass(frozen=True, slots=True)
class Author:
    """The one mailbox of a From field."""

    display: str  # decoded phrase; empty if there is none
    local_part: str
    domain: str  # A-labels, lower case

    @property
    def address(self) -> str:
        """The address as text."""
        return f"{self.local_part}@{self.domain}"


def parse_author(value: bytes, field: str = "From") -> Author:
    """Parses the unfolded value of a From, Sender or Resent field. Raises `MalformedMessage`, which names the field. Linear."""
    try:
        return _read_author(value)
    except MalformedMessage as error:
        raise MalformedMessage(error.reason.replace("{field}", field)) from None


@lru_cache(4096)  # few senders send most messages
def _read_author(value: bytes) -> Author:
    """The author. Raises `MalformedMessage` with `{field}` as a placeholder for the field's name."""
    match = _SIMPLE.fullmatch(value)
    if match and b"xn--" not in value.lower() and b".." not in value and value[:1] != b".":
        local_part = value[: match.start(1) - 1].decode("ascii")
        if not local_part.endswith("."):
            return Author("", local_part, match[1].decode("ascii").lower())
    if len(value) > MAX_FROM:
        raise MalformedMessage(f"the {{field}} field is longer than {MAX_FROM} octets")
    text = decode_undeclared(value)
    if _DOTTED_COMMENT in text:
        raise MalformedMessage("the {field} field has a control character; remove it")
    text = _without_comments(text).strip(_BLANKS)
    phrase, position = _read_phrase(text)
    if text[position : position + 1] == "<":
        address = _ADDRESS.match(text, position + 1)
        if not address or text[address.end() :].replace(" ", "").replace("\t", "") != ">":
            raise MalformedMessage(_REASON)
        _check_phrase(phrase, address[0].strip(_BLANKS))
    else:
        address = _ADDRESS.match(text)
        if not address:
            raise MalformedMessage(_QUOTE_NAME if text.count("@") == 1 and text.endswith(">") else _REASON)
        if text[address.end() :].strip(_BLANKS) not in {"", f"<{address[0]}>"}:  # some programs write the address as its own name
            raise MalformedMessage(_REASON)
        phrase = ""
    if not address[0].isascii() and not _is_utf_8(value):
        raise MalformedMessage("the address in the {field} field is neither ASCII nor UTF-8")
    return _make(phrase, address[1], address[2])


def _read_phrase(text: str) -> tuple[str, int]:
    """The decoded words before an angle bracket, and the position after them."""
    words, position = [], 0
    while position < len(text):
        letter = text[position]
        if letter in _BLANKS:
            position += 1
            continue
        match = _QUOTED.match(text, position) if letter == '"' else _ENCODED_WORD.match(text, position) or _WORD.match(text, position)
        if not match:
            # An address without a phrase, as `me@example.org` or `<me@example.org>`, is recognised by the caller.
            break
        if letter == '"':
            words.append(re.sub(r"\\(.)", r"\1", match[1]))
        else:
            words.append(match[0])
        position = match.end()
    return " ".join(words), position


def _without_comments(text: str) -> str:
    """The text with each comment replaced by a space. Raises `MalformedMessage` for an unclosed comment, or one with an address in it."""
    if "(" not in text and ")" not in text:
        return text
    kept: list[str] = []
    position = 0
    while position < len(text):
        if text[position] == "(":
            end = _end_of_comment(text, position)
            comment = _decode_words(text[position:end])
            if not _HIDING.isdisjoint(comment):
                raise MalformedMessage("a comment in the {field} field has a line break or one of @ < > in it; leave that out")
            kept.append(_DOTTED_COMMENT if "." in comment else " ")
            position = end
            continue
        match = _OUTSIDE_COMMENTS.match(text, position)
        if not match:  # a closing bracket without a comment
            raise MalformedMessage(_REASON)
        kept.append(match[0])
        position = match.end()
    return "".join(kept)


def _end_of_comment(text: str, start: int) -> int:
    depth = 0
    for match in _IN_COMMENT.finditer(text, start):
        depth += (match[0] == "(") - (match[0] == ")")
        if depth == 0:
            return match.end()
    raise MalformedMessage("a comment in the {field} field has no end; close its bracket")


def _is_utf_8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check_phrase(phrase: str, address: str) -> None:
    decoded = _decode_words(phrase)
    if "\r" in decoded or "\n" in decoded:
        raise MalformedMessage("the name in the {field} field has an encoded line break")
    if "\0" in decoded:
        raise MalformedMessage("the name in the {field} field has an encoded NUL")
    others = decoded.replace(address, "")  # some programs write the address into its own name
    if "<" in others and "@" in others:
        raise MalformedMessage("the name in the {field} field hides another address")


def _make(phrase: str, local_part: str, domain: str) -> Author:
    if '"' in local_part:  # RFC 5322 §4.4 has quoted strings also between the dots
        local_part = _LOCAL_QUOTED.sub(lambda quoted: re.sub(r"\\(.)", r"\1", quoted[1]), local_part)
    if not _HIDING.isdisjoint(local_part) or _ENCODED.search(local_part):
        raise MalformedMessage("the address in the {field} field has another one before its @, or encoded words")
    if len(local_part.encode()) > MAX_LOCAL_PART:
        raise MalformedMessage("the address in the {field} field has more than 64 octets before its @")
    return Author(one_line(_decode_words(phrase)), local_part, normalise_domain(domain))


@lru_cache(4096)  # IDNA takes 20 microseconds
def normalise_domain(text: str) -> str:
    """The domain in A-labels and lower case. Raises `MalformedMessage` with `{field}` as a placeholder for the field's name."""
    if len(text) > MAX_DOMAIN or _TREACHEROUS.search(text):
        raise MalformedMessage(_BAD_DOMAIN)
    try:
        domain = text.lower() if text.isascii() else idna.encode(text, uts46=True, std3_rules=True).decode("ascii").lower()
        if "xn--" in domain:
            idna.decode(domain, strict=True)
    except (idna.IDNAError, UnicodeError):
        raise MalformedMessage("the domain in the {field} field is not valid in IDNA") from None
    if len(domain) > MAX_DOMAIN or not _DOMAIN.fullmatch(domain) or domain.rpartition(".")[2].isdigit():
        raise MalformedMessage(_BAD_DOMAIN)
    return domain


def decode_text(value: bytes) -> str:
    """An unstructured value, or a whole address field, for display: encoded words decoded (RFC 2047), on one line."""
    if value.isascii():
        text = value.decode("ascii")
        if "=?" not in text and text.isprintable():
            return text
    else:
        text = decode_undeclared(value)
    return one_line(_decode_words(text))


def _decode_words(text: str) -> str:
    """The text with its encoded words decoded. Neighbours of one charset are decoded together: a letter may be split between them."""
    if "=?" not in text:
        return text
    shown: list[str] = []
    octets: list[bytes] = []
    charset, position = "", 0
    for match in _ENCODED.finditer(text):
        between = text[position : match.start()]
        is_neighbour = position > 0 and not between.strip(" \t")  # RFC 2047 §6.2: white space between encoded words is not shown
        data = _octets_of_word(match)
        if not is_neighbour or data is None or match[1].lower() != charset:
            shown += (decode(b"".join(octets), charset), "" if is_neighbour else between)
            octets, charset = [], match[1].lower()
        if data is None:
            shown.append(match[0])
        else:
            octets.append(data)
        position = match.end()
    shown += (decode(b"".join(octets), charset), text[position:])
    return "".join(shown)


def _octets_of_word(match: re.Match[str]) -> bytes | None:
    encoding, data = match[2].lower(), match[3]
    if encoding == "q":
        return binascii.a2b_qp(data.encode("ascii"), header=True)
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4))
    except (binascii.Error, ValueError):
        return None


def address_list(value: bytes) -> list[str]:
    """The addresses of a To or Cc field for display. Never raises; malformed parts are returned unchanged. Linear."""
    if b"," not in value and b";" not in value and b"\\" not in value:
        text = decode_text(value)
        return [text] if text else []
    text = decode_undeclared(value)
    addresses: list[str] = []
    current: list[str] = []
    depth, is_quoted, is_escaped = 0, False, False
    word_end = 0  # of an encoded word, which is one whatever is in it
    for position, letter in enumerate(text):
        if letter == "=" and position >= word_end and not is_quoted:
            word = _ENCODED_WORD.match(text, position)
            word_end = word.end() if word else word_end
        if position < word_end:
            pass
        elif is_escaped:
            is_escaped = False
        elif letter == "\\":
            is_escaped = True
        elif letter == '"' and not depth:
            is_quoted = not is_quoted
        elif not is_quoted:
            depth += (letter == "(") - (letter == ")" and depth > 0)
            if letter in ",;" and not depth:
                addresses.append("".join(current))
                current = []
                if len(addresses) >= MAX_LISTED:
                    break
                continue
        current.append(letter)
    addresses.append("".join(current))
    shown = [one_line(_decode_words(address)) for address in addresses[:MAX_LISTED]]
    return [unicodedata.normalize("NFC", address) for address in shown if address]
