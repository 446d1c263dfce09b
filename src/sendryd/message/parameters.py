"""Structured MIME fields: a word such as a media type, and parameters (RFC 2045 §5.1, RFC 2183, RFC 2231).

Parsed as tolerantly as mail programs do: comments anywhere, missing semicolons, unclosed quotes, parameters in sections and in percent-encoding.
Written in the one form that all of them parse. Linear in the length of the field.
"""

import re
from itertools import islice
from typing import Final

from sendryd.message.charset import decode, decode_undeclared

MAX_PARAMETERS: Final = 200  # of one field; real ones have a few, and long file names in many languages some dozens
SECTION: Final = 60  # octets of one section of a long value (RFC 2231 §3), so that its line stays under the usual 78
MAX_PLAIN: Final = 500  # octets of a value on one line; longer ones are written in sections

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]"
_COMMENT_MARKS: Final = re.compile(r'[^()"\\]+|\\.|"(?:[^"\\]|\\.)*"|[()"\\]', re.DOTALL)
_TYPE: Final = re.compile(rf"\s*({_ATOM}{{1,127}})\s*/\s*({_ATOM}{{1,127}})")
_PARAMETER: Final = re.compile(rf"(?<![^\s;])({_ATOM}{{1,60}})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)(?:\"|\Z)|([^\s;\"]*))", re.DOTALL)
_NAMES_OF_FILES: Final = frozenset(("filename", "name"))
_MORE_WORDS: Final = re.compile(rf"(?:\s+(?!{_ATOM}{{1,60}}\s*=)[^\s;\"]+)+")  # of an unquoted value, before the next parameter
_PLAIN: Final = re.compile(rf'{_ATOM}+/{_ATOM}+(?:\s*;\s*[A-Za-z0-9-]+=(?:{_ATOM}+|"[ !#-\[\]-~]*"))*')
_SECTION_NAME: Final = re.compile(r"([^*]+)\*(?:([0-9]{1,3})(\*?))?")
_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_LINE_BREAK: Final = re.compile(r"[\r\n]+")
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_UNQUOTED: Final = re.compile(rf"{_ATOM}+")
_QUOTABLE: Final = re.compile(r"[ -~]*")
_ATTRIBUTE_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")  # RFC 2231 §7
_ATTRIBUTE_OCTETS: Final = tuple(chr(octet) if octet in _ATTRIBUTE_SAFE else f"%{octet:02X}" for octet in range(256))


def without_comments(text: str) -> str:
    """The text with each comment replaced by a space (RFC 5322 §3.2.2); an unmatched bracket stays."""
    if "(" not in text:
        return text
    kept: list[str] = []
    depth, opened_at = 0, 0
    for match in _COMMENT_MARKS.finditer(text):
        mark = match[0]
        if mark == "(":
            if depth == 0:
                opened_at = match.start()
            depth += 1
        elif mark == ")" and depth:
            depth -= 1
            if depth == 0:
                kept.append(" ")
        elif depth == 0:
            kept.append(mark)
    return "".join(kept) + (text[opened_at:] if depth else "")


def read_word(value: bytes | None) -> tuple[str, dict[str, str]]:
    """A field such as Content-Disposition: its word in lower case, empty if it is missing, and its parameters."""
    if value is None:
        return "", {}
    text = without_comments(decode_undeclared(value))
    return text.partition(";")[0].strip().lower(), read_parameters(text)


def read_type(value: bytes | None, default: str = "text/plain") -> tuple[str, dict[str, str]]:
    """Type and parameters of a Content-Type field; the default for a missing or malformed one.

    A malformed type that begins with multipart or message is kept: readers may find parts in its body.
    """
    if value is None:
        return default, {}
    text = without_comments(decode_undeclared(value))
    match = _TYPE.match(text)
    if match:
        return f"{match[1]}/{match[2]}".lower(), read_parameters(text[match.end() :])
    start = text.strip().lower()
    if start.startswith("multipart"):
        return "multipart/mixed", read_parameters(text)
    return ("message/x-unknown", {}) if start.startswith("message") else (default, {})


def is_plain_type(value: bytes) -> bool:
    """Whether all readers parse a Content-Type field in the same way."""
    return value.isascii() and _PLAIN.fullmatch(value.decode("ascii").rstrip("; \t")) is not None


def read_parameters(text: str) -> dict[str, str]:
    """Decoded parameters by lower-case name. Of duplicates the first counts, and the form of RFC 2231 before the plain one.

    A value in that form is also stored under its name with an asterisk: encoded words in it are ordinary characters. The name of a file may have spaces
    without the quotes that they need: programs that do not encode names often forget both.
    """
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in islice(_PARAMETER.finditer(text), MAX_PARAMETERS):
        name, quoted = match[1].lower(), match[2]
        value = _PAIR.sub(r"\1", quoted) if quoted is not None else match[3]
        if quoted is None and name in _NAMES_OF_FILES and (more := _MORE_WORDS.match(text, match.end())):
            value += _LINE_BREAK.sub("", more[0])
        extended = _SECTION_NAME.fullmatch(name)
        if extended:
            number = int(extended[2] or 0)
            is_encoded = extended[2] is None or bool(extended[3])
            sections.setdefault(extended[1], {}).setdefault(number, (value, is_encoded))
        else:
            plain.setdefault(name, value)
    for name, found in sections.items():
        if 0 in found:
            plain[name] = plain[f"{name}*"] = _join_sections(found)
    return plain


def _join_sections(sections: dict[int, tuple[str, bool]]) -> str:
    first, is_encoded = sections[0]
    charset = ""
    if is_encoded and first.count("'") >= 2:
        charset, _, rest = first.partition("'")
        sections = {**sections, 0: (rest.partition("'")[2], True)}
    pieces: list[bytes] = []
    for number in range(len(sections)):
        if number not in sections:
            break
        value, is_percent = sections[number]
        data = value.encode("utf-8", "replace")
        pieces.append(_PERCENT.sub(lambda match: bytes([int(match[1], 16)]), data) if is_percent else data)
    return decode(b"".join(pieces), charset)


def write_field(name: bytes, word: str, parameters: dict[str, str]) -> bytes:
    """A whole field with its final CRLF, in ASCII, each parameter on lines of its own."""
    lines = [name.decode("ascii") + ": " + word]
    for key, value in parameters.items():
        if not key.endswith("*"):
            lines += _write_parameter(key, value)
    return ";\r\n ".join(lines).encode("ascii", "replace") + b"\r\n"


def _write_parameter(name: str, value: str) -> list[str]:
    if _QUOTABLE.fullmatch(value) and len(value) <= MAX_PLAIN:
        if _UNQUOTED.fullmatch(value):
            return [f"{name}={value}"]
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return [f'{name}="{quoted}"']
    letters = ["".join([_ATTRIBUTE_OCTETS[octet] for octet in letter.encode("utf-8", "replace")]) for letter in value]
    sections = ["utf-8''"]
    for letter in letters:
        if len(sections[-1]) + len(letter) > SECTION:
            sections.append("")
        sections[-1] += letter
    if len(sections) == 1:
        return [f"{name}*={sections[0]}"]
    return [f"{name}*{number}*={section}" for number, section in enumerate(sections)]
