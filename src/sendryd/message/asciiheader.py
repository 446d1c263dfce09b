"""Encodes raw 8-bit header fields in ASCII: encoded words (RFC 2047), parameters by RFC 2231, domains in A-labels.

Octets that are not UTF-8 are read as windows-1252. The decoded text does not change. An address with an 8-bit local part has no ASCII form: it
needs SMTPUTF8 (RFC 6531). Linear in the size of the block.
"""

import re
from collections.abc import Iterator
from typing import Final

from sendryd.message.author import decode_text, normalise_domain
from sendryd.message.charset import decode_undeclared, one_line
from sendryd.message.encodedwords import MAX_ENCODED_WORD, PHRASE_WORD, encoded_words, fold
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import MAX_LINE, HeaderBlock, HeaderField
from sendryd.message.parameters import read_type, read_word, write_field

ADDRESS_FIELDS: Final = frozenset(
    {b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"}
    | {b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-bcc", b"resent-reply-to"}
    | {b"return-path", b"errors-to", b"disposition-notification-to", b"mail-followup-to", b"list-id"}
)
# Identifiers, dates, URLs and trace: encoded words have no meaning in them, so their octets are percent-encoded.
_MACHINE_FIELDS: Final = frozenset(
    {b"message-id", b"in-reply-to", b"references", b"date", b"received", b"content-id", b"content-location", b"mime-version"}
    | {b"content-transfer-encoding", b"resent-message-id", b"resent-date", b"content-base", b"auto-submitted"}
    | {b"list-help", b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe", b"list-post", b"list-owner", b"list-archive"}
    | {b"dkim-signature", b"authentication-results", b"arc-seal", b"arc-message-signature", b"arc-authentication-results"}
)
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|<[^<>]*>|[,;:()]|[ \t]+|\\.|[^\s"<>,;:()\\]+|.', re.DOTALL)
_ADDRESS: Final = re.compile(r"([^@\s]+)@([^@\s]+)")
_BRACKETS: Final = re.compile(r"<[^<>]*@[^<>]*>")
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_UNIT: Final = re.compile(r" *[^ ]+")
_MAX_UNIT: Final = 900  # octets without a space that go as they are: with the field's name they stay under the 998 of a line


class EightBitAddress(MalformedMessage):
    """An address in the header has an 8-bit local part: only a receiver that offers SMTPUTF8 can take it."""


def needs_smtputf8(headers: HeaderBlock) -> bool:
    """Whether an address in the header has an 8-bit local part."""
    if not headers.has_8bit:
        return False
    for field in headers.fields:
        if field.name in ADDRESS_FIELDS and not headers.raw(field).isascii():
            try:
                encode_field(headers, field)
            except EightBitAddress:
                return True
            except MalformedMessage:
                continue
    return False


def to_ascii_header(content: bytes, headers: HeaderBlock, *, keeps_utf_8: bool = False) -> bytes:
    """The content with an ASCII header block; for a receiver with SMTPUTF8, with a UTF-8 one.

    Raises `EightBitAddress` if an address has no ASCII form.
    """
    if not headers.has_8bit:
        return content
    pieces: list[bytes] = []
    position = 0
    for field in headers.fields:
        raw = content[field.start : field.end]
        if raw.isascii() or (keeps_utf_8 and _is_utf_8(raw)):
            continue
        pieces += (content[position : field.start], _encode(headers, field, keeps_utf_8=keeps_utf_8))
        position = field.end
    if not pieces:
        return content
    pieces.append(content[position:])
    return b"".join(pieces)


def _encode(headers: HeaderBlock, field: HeaderField, *, keeps_utf_8: bool) -> bytes:
    try:
        return encode_field(headers, field)
    except EightBitAddress:
        made = decode_undeclared(headers.raw(field)).encode()
        if not keeps_utf_8 or max(map(len, made.split(b"\r\n"))) > MAX_LINE:
            raise
        return made


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def encode_field(headers: HeaderBlock, field: HeaderField) -> bytes:
    """A field, including its final CRLF, in ASCII, on lines of at most 998 octets. Raises `EightBitAddress`, `MalformedMessage`."""
    name = headers.content[field.start : field.value_start - 1]
    value = headers.value(field)
    if field.name in (b"content-type", b"content-disposition"):
        word, parameters = read_type(value) if field.name == b"content-type" else read_word(value)
        encoded = write_field(name, word if word.isascii() else "attachment", parameters)
    elif field.name in ADDRESS_FIELDS:
        text = decode_undeclared(value)
        if field.name == b"list-id":  # RFC 2919: what it has in brackets looks like an address and is none
            text = _BRACKETS.sub(lambda match: _percent(match[0]), text)
        encoded = fold(name.decode("ascii"), _encode_addresses(text)).encode("ascii")
    elif field.name in _MACHINE_FIELDS or value.isascii():
        encoded = fold(name.decode("ascii"), _UNIT.findall(" " + _percent(decode_undeclared(value)))).encode("ascii")
    else:
        room = MAX_ENCODED_WORD - len(name) - 2
        words = encoded_words(decode_text(value), room if room >= PHRASE_WORD // 2 else MAX_ENCODED_WORD, MAX_ENCODED_WORD)
        encoded = fold(name.decode("ascii"), words).encode("ascii")
    if max(map(len, encoded.split(b"\r\n"))) > MAX_LINE:
        raise MalformedMessage(f"a header line is longer than {MAX_LINE} octets and cannot be folded")
    return encoded


def _percent(text: str) -> str:
    return "".join(
        letter if letter.isascii() else "".join(f"%{octet:02X}" for octet in letter.encode("utf-8", "replace")) for letter in text
    )


def _encode_addresses(text: str) -> list[str]:
    """An address list as units that begin with a space; the line may be folded between units."""
    units: list[str] = []
    separators: list[str] = []  # after the last unit
    phrase: list[str] = []  # tokens since the last separator

    def add(words: list[str]) -> None:
        if words and separators:
            mark = "".join(separators)
            separators.clear()
            if units:
                units[-1] += mark
            else:
                units.append(f" {mark}")
        units.extend(words)

    for token in _with_whole_comments(text):
        if token[0] == "(":
            add(_encode_words_before(phrase))
            add(_encode_comment(token))
        elif token[0] == "<" and len(token) > 1:
            add(_encode_words_before(phrase, is_name=True))
            add([f" <{_encode_address(token[1:-1])}>"])
        elif token in {",", ";", ":"}:
            add(_encode_words_before(phrase))
            separators.append(token)
        else:
            phrase.append(token)
    add([*_encode_words_before(phrase), ""])
    return units


def _with_whole_comments(text: str) -> Iterator[str]:
    """The tokens of a structured value, with each comment as one token."""
    comment: list[str] = []
    depth = 0
    for match in _TOKENS.finditer(text):
        mark = match[0]
        depth += (mark == "(") - (mark == ")" and depth > 0)
        if comment or mark == "(":
            comment.append(mark)
            if depth == 0:
                yield "".join(comment)
                comment = []
        else:
            yield mark
    if comment:
        yield "".join(comment)


def _encode_words_before(phrase: list[str], *, is_name: bool = False) -> list[str]:
    """The units of the tokens before a separator: a name or a bare address. Empties the list. `is_name`: it stands before an address."""
    text = "".join(phrase).strip(" \t")
    tokens = [token for token in phrase if token.strip(" \t")]
    phrase.clear()
    if not text:
        return []
    if text.isascii():
        return _UNIT.findall(f" {text}")
    if not is_name and "@" in text and '"' not in text and _ADDRESS.fullmatch(text):
        return [f" {_encode_address(text)}"]
    words = [_PAIR.sub(r"\1", token[1:-1]) if token[0] == '"' and len(token) > 1 else token for token in tokens]
    return encoded_words(one_line(decode_text(" ".join(words).encode("utf-8", "replace"))), PHRASE_WORD, PHRASE_WORD)


def _encode_comment(comment: str) -> list[str]:
    if comment.isascii():
        return _UNIT.findall(f" {comment}")
    inner = decode_text(_PAIR.sub(r"\1", comment[1:].removesuffix(")")).encode("utf-8", "replace"))
    words = encoded_words(inner, PHRASE_WORD, PHRASE_WORD)
    words[0] = f" ({words[0][1:]}"
    words[-1] += ")"
    return words


def _encode_address(text: str) -> str:
    """An address with its domain in A-labels, or an identifier as a list has it. Raises `EightBitAddress`."""
    if text.isascii():
        return text
    local_part, at, domain = text.strip().rpartition("@")
    if not at:
        return _percent(text)
    if not local_part.isascii():
        raise EightBitAddress("an address in the header needs SMTPUTF8")
    try:
        return f"{local_part}@{normalise_domain(domain)}"
    except MalformedMessage:
        raise EightBitAddress("an address in the header needs SMTPUTF8") from None
