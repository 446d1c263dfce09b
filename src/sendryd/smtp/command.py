"""SMTP commands: one line of bytes to a value (RFC 5321 §4.1, and the extensions that we offer)."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, cast

from sendryd.smtp.address import AddressError, ForwardPath, ReversePath, parse_forward_path, parse_reverse_path
from sendryd.smtp.events import BodyType, MailFrom, RcptTo
from sendryd.smtp.extensions import MAX_SIZE_DIGITS
from sendryd.smtp.reply import Reply, make_reply

MAX_HELLO: Final = 255  # octets: RFC 5321 §4.5.3.1.2
MAX_ENVID: Final = 100  # octets: RFC 3461 §4.4
MAX_ORCPT: Final = 500  # octets: RFC 3461 §4.2

_CACHED_PATHS: Final = 4096  # senders repeat few addresses

_LABEL: Final = rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM: Final = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
# The common forms: these alone are most of the lines that a submission server reads.
_COMMON_MAIL: Final = re.compile(
    rb"MAIL FROM:<((?:" + _ATOM + rb"(?:\." + _ATOM + rb")*@" + _LABEL + rb"(?:\." + _LABEL + rb")*)?)>"
    rb"(?: SIZE=([0-9]{1,20}))?(?: BODY=(8BITMIME|7BIT))?(?: SIZE=([0-9]{1,20}))?",
    re.IGNORECASE,
)
_COMMON_RCPT: Final = re.compile(
    rb"RCPT TO:<(" + _ATOM + rb"(?:\." + _ATOM + rb")*@" + _LABEL + rb"(?:\." + _LABEL + rb")*)>", re.IGNORECASE
)
_PATH: Final = re.compile(r' *<((?:"(?:[^"\\]|\\.)*"|[^">])*)>(?: +(.*))?', re.DOTALL)
# Without brackets, as scanners and alarm boxes send it: one word with one @ and nothing that could end it elsewhere.
_BARE_PATH: Final = re.compile(r' *([^\x00-\x20\x7f<>()\[\],:;@\\"]+@[^\x00-\x20\x7f<>()\[\],:;@\\"]+)(?: +(.*))?', re.DOTALL)
_PARAMETER: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?")
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", re.ASCII)
_SIZE: Final = re.compile(rf"[0-9]{{1,{MAX_SIZE_DIGITS}}}", re.ASCII)
_BDAT: Final = re.compile(rb"(?i:BDAT) +([0-9]{1,20})( +(?i:LAST))? *")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
_VERBS: Final = frozenset(b"EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EXPN HELP".split())


class CommandRefused(Exception):
    """A command is refused, with this reply. Caught once, in the machine."""

    def __init__(self, reply: Reply, *, is_fault: bool = True) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.is_fault = is_fault  # False: a mistake in data, such as an address, that says nothing against the client


@dataclass(frozen=True, slots=True)
class Bdat:
    """BDAT (RFC 3030)."""

    size: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH (RFC 4954)."""

    mechanism: str  # upper case
    initial: bytes | None = field(repr=False)


def printable(line: bytes, limit: int = 80) -> str:
    """A line for the log: short, printable ASCII."""
    return _UNPRINTABLE.sub("?", line[:limit].decode("latin-1"))


def excerpt(line: bytes) -> str:
    """A refused line for the log. A line without a known verb is hidden: it may be a secret sent out of turn."""
    verb = line.partition(b" ")[0].upper()
    return printable(line) if verb in _VERBS else verb.decode() if verb == b"AUTH" else "(not a command)"


def parse_hello(argument: bytes) -> str:
    """Parses the name in EHLO or HELO, in any form of real clients; refuses only unprintable names. Raises `CommandRefused`."""
    name = argument.strip()
    if not name or len(name) > MAX_HELLO:
        raise CommandRefused(make_reply(501, "5.5.4", "Give your host name, of at most 255 octets, after EHLO"))
    return printable(name, MAX_HELLO)


def parse_auth(argument: bytes) -> Auth:
    """The mechanism and the initial response of AUTH. Raises `CommandRefused`."""
    parts = argument.split()
    if not parts or len(parts) > 2:
        raise CommandRefused(make_reply(501, "5.5.4", "AUTH takes a mechanism and at most one initial response"))
    return Auth(printable(parts[0], 20).upper(), parts[1] if len(parts) == 2 else None)


def parse_bdat(line: bytes) -> Bdat | None:
    """Parses a BDAT command; None if its size is invalid: the number of following octets is then unknown."""
    match = _BDAT.fullmatch(line)
    return Bdat(int(match[1]), match[2] is not None) if match else None


def parse_mail(line: bytes) -> MailFrom:
    """A MAIL command. Raises `CommandRefused`."""
    match = _COMMON_MAIL.fullmatch(line)
    if match:
        address, size, body, late_size = match.groups()
        if not (size and late_size):
            digits = size or late_size
            return MailFrom(
                _reverse_path(address.decode("ascii")),
                int(digits) if digits else None,
                "8BITMIME" if body and body[:1] == b"8" else "7BIT",
            )
    path, parameters = _split(line, "MAIL FROM", "5.1.7")
    is_smtputf8 = "SMTPUTF8" in parameters
    _check_utf8(path, is_allowed=is_smtputf8)
    mail = MailFrom(
        _reverse_path(path),
        size=_size(parameters),
        body=_body(parameters),
        is_smtputf8=is_smtputf8,
        ret=_choice(parameters, "RET", ("FULL", "HDRS")),
        envid=_xtext(parameters, "ENVID", MAX_ENVID),
        requires_tls="REQUIRETLS" in parameters,
    )
    if is_smtputf8 and parameters["SMTPUTF8"] is not None:
        raise CommandRefused(make_reply(501, "5.5.4", "SMTPUTF8 takes no value"))
    if mail.requires_tls and parameters["REQUIRETLS"] is not None:  # RFC 8689 §2
        raise CommandRefused(make_reply(501, "5.5.4", "REQUIRETLS takes no value"))
    _refuse_unknown(parameters, {"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", "REQUIRETLS"})  # RFC 4954 §5: AUTH is accepted
    return mail


def parse_rcpt(line: bytes, *, is_smtputf8: bool) -> RcptTo:
    """A RCPT command. Raises `CommandRefused`."""
    match = _COMMON_RCPT.fullmatch(line)
    if match:
        return RcptTo(_forward_path(match[1].decode("ascii")))
    path, parameters = _split(line, "RCPT TO", "5.1.3")
    _check_utf8(path, is_allowed=is_smtputf8)
    notify = parameters.get("NOTIFY")
    wanted = frozenset(notify.upper().split(",")) if notify else None
    if "NOTIFY" in parameters and not _is_notify(wanted):
        raise CommandRefused(make_reply(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY"))
    orcpt = _orcpt(parameters)
    _refuse_unknown(parameters, {"NOTIFY", "ORCPT"})
    return RcptTo(_forward_path(path), notify=wanted, orcpt=orcpt)


def _split(line: bytes, name: str, enhanced: str) -> tuple[str, dict[str, str | None]]:
    """The path, with or without angle brackets, and the parameters."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise CommandRefused(make_reply(501, enhanced, "The address is not valid UTF-8"), is_fault=False) from None
    colon = text.find(":")
    if colon < 0 or " ".join(text[:colon].upper().split()) != name:
        raise CommandRefused(make_reply(501, "5.5.4", f"Syntax: {name}:<address>"))
    rest = text[colon + 1 :].rstrip(" ")
    match = _PATH.fullmatch(rest) or _BARE_PATH.fullmatch(rest)
    if not match:
        raise CommandRefused(make_reply(501, enhanced, f"Syntax: {name}:<address>"), is_fault=False)
    parameters: dict[str, str | None] = {}
    for word in (match[2] or "").split(" "):
        if not word:
            continue
        parameter = _PARAMETER.fullmatch(word)
        if not parameter:
            raise CommandRefused(make_reply(501, "5.5.4", "A parameter is malformed"))
        keyword = parameter[1].upper()
        if keyword in parameters:
            raise CommandRefused(make_reply(501, "5.5.4", f"{keyword} is given twice"))
        parameters[keyword] = parameter[2]
    return match[1], parameters


@lru_cache(_CACHED_PATHS)
def _reverse_path(text: str) -> ReversePath:
    try:
        return parse_reverse_path(text)
    except AddressError as error:
        raise CommandRefused(make_reply(501, "5.1.7", f"Bad sender address: {error}"), is_fault=False) from None


@lru_cache(_CACHED_PATHS)
def _forward_path(text: str) -> ForwardPath:
    try:
        return parse_forward_path(text)
    except AddressError as error:
        raise CommandRefused(make_reply(501, "5.1.3", f"Bad recipient address: {error}"), is_fault=False) from None


def _check_utf8(path: str, *, is_allowed: bool) -> None:
    if not is_allowed and not path.isascii():  # RFC 6531 §3.5
        raise CommandRefused(make_reply(553, "5.6.7", "A non-ASCII address needs SMTPUTF8 in MAIL"), is_fault=False)


def _size(parameters: dict[str, str | None]) -> int | None:
    if "SIZE" not in parameters:
        return None
    text = parameters["SIZE"]
    if not text or not _SIZE.fullmatch(text):
        raise CommandRefused(make_reply(501, "5.5.4", "SIZE is a number of octets"))
    return int(text)


def _body(parameters: dict[str, str | None]) -> BodyType:
    body = _choice(parameters, "BODY", ("7BIT", "8BITMIME"))
    return cast("BodyType", body) if body else "7BIT"


def _choice(parameters: dict[str, str | None], name: str, words: tuple[str, ...]) -> str | None:
    if name not in parameters:
        return None
    word = (parameters[name] or "").upper()
    if word not in words:
        raise CommandRefused(make_reply(501, "5.5.4", f"{name} is one of {', '.join(words)}"))
    return word


def _xtext(parameters: dict[str, str | None], name: str, limit: int) -> str | None:
    if name not in parameters:
        return None
    text = parameters[name] or ""
    if not text or len(text) > limit or not _XTEXT.fullmatch(text):
        raise CommandRefused(make_reply(501, "5.5.4", f"{name} is xtext of at most {limit} octets"))
    return text


def _orcpt(parameters: dict[str, str | None]) -> str | None:
    if "ORCPT" not in parameters:
        return None
    text = parameters["ORCPT"] or ""
    kind, semicolon, address = text.partition(";")
    is_valid = semicolon and kind and address and len(text) <= MAX_ORCPT
    if not is_valid or not (_XTEXT.fullmatch(address) or kind.lower() == "utf-8"):  # RFC 6533 §3: utf-8-addr-xtext
        raise CommandRefused(make_reply(501, "5.5.4", "ORCPT is a type, a semicolon and an address in xtext"))
    if not text.isascii() or not text.isprintable():
        raise CommandRefused(make_reply(501, "5.5.4", "ORCPT is printable ASCII"))
    return text


def _is_notify(words: frozenset[str] | None) -> bool:
    return words is not None and (words == frozenset({"NEVER"}) or words <= {"SUCCESS", "FAILURE", "DELAY"})


def _refuse_unknown(parameters: dict[str, str | None], known: set[str]) -> None:
    unknown = parameters.keys() - known
    if unknown:
        raise CommandRefused(make_reply(555, "5.5.4", f"The parameter {min(unknown)} is not supported"))
