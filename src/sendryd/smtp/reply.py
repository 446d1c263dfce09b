"""Replies and enhanced status codes (RFC 5321 §4.2, RFC 3463, RFC 2034)."""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Self

_ENHANCED: Final = re.compile(r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})", re.ASCII)
_UNSAFE: Final = re.compile(r"[^\x20-\x7e]")
MAX_TEXT: Final = 450  # octets of text on one line: RFC 5321 §4.5.3.1.5 gives 512 for the whole line
SERVICE_CLOSING: Final = 421  # RFC 5321 §3.8: may answer anything, and ends the session


class ReplyClass(IntEnum):
    """The class of a reply: its first digit."""

    POSITIVE = 2
    MORE = 3
    TRANSIENT = 4
    PERMANENT = 5


_CLASSES: Final = {reply_class.value: reply_class for reply_class in ReplyClass}  # calling the enumeration is slow


@dataclass(frozen=True, slots=True)
class EnhancedStatusCode:
    """Class, subject and detail, as `5.1.1`."""

    status_class: int
    subject: int
    detail: int
    _text: str = field(init=False, repr=False, compare=False)  # a reply is written several times for each message

    def __post_init__(self) -> None:
        object.__setattr__(self, "_text", f"{self.status_class}.{self.subject}.{self.detail}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `5.1.1`. Raises `ValueError`."""
        match = _ENHANCED.fullmatch(text)
        if not match:
            raise ValueError(f"not an enhanced status code: {text!r}")
        return cls(int(match[1]), int(match[2]), int(match[3]))

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply. Characters that could break out of their line are replaced by spaces."""

    code: int
    text: str | tuple[str, ...] = ""
    enhanced: EnhancedStatusCode | None = None
    encoded: bytes = field(init=False, repr=False, compare=False)
    reply_class: ReplyClass = field(init=False, repr=False, compare=False)  # what the first digit says

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"not a reply code: {self.code}")
        object.__setattr__(self, "reply_class", _CLASSES[self.code // 100])
        text = self.text
        if isinstance(text, str) and len(text) <= MAX_TEXT and text.isascii() and text.isprintable():  # nearly all replies
            line = f"{self.code} {self.enhanced} {text}\r\n" if self.enhanced else f"{self.code} {text}\r\n"
            object.__setattr__(self, "encoded", line.encode("ascii"))
            return
        lines = self.lines
        prefix = f"{self.enhanced} " if self.enhanced else ""
        last = len(lines) - 1
        encoded = "".join(
            f"{self.code}{' ' if number == last else '-'}{prefix}{_UNSAFE.sub(' ', line)[:MAX_TEXT]}\r\n"
            for number, line in enumerate(lines)
        )
        object.__setattr__(self, "encoded", encoded.encode("ascii"))

    def __str__(self) -> str:
        text = self.text if isinstance(self.text, str) else " / ".join(self.lines)
        return f"{self.code} {self.enhanced} {text}" if self.enhanced else f"{self.code} {text}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The text of each line, without codes."""
        return (self.text,) if isinstance(self.text, str) else self.text or ("",)

    @property
    def is_positive(self) -> bool:
        """2yz: done."""
        return self.code < 300

    @property
    def is_more(self) -> bool:
        """3yz: go on."""
        return 300 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        """4yz: try again."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: do not try again."""
        return self.code >= 500


def make_reply(code: int, enhanced: str, text: str) -> Reply:
    """A reply with an enhanced status code given as text. Raises `ValueError`."""
    return Reply(code, text, EnhancedStatusCode.parse(enhanced))
