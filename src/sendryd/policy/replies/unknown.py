"""Replies that the table of patterns does not know, brought to a shape that repeats: without addresses, names of mailboxes, numbers and ids. Pure.

A reply is unknown if its words told nothing, so that its bare code decided (`Category.OTHER`). The list of such replies is where the table grows from.

Strategy: a receiver writes whatever it likes, so what it may name of the recipient is taken out by what the delivery knows, and the rest by patterns. Each
pattern begins only where a word begins and has bounded repeats, so that no reply costs more than its length.
"""

import re
from functools import lru_cache
from typing import Final

from sendryd.policy.replies.verdict import Category, Verdict

MAX_READ: Final = 500  # characters
MAX_SHAPE: Final = 400  # characters
_SHAPES: Final = 256  # that are remembered: the replies to all recipients of a mail, and to mail after mail, are the same
_ADDRESS: Final = re.compile(
    r"<[^<>]{0,320}>|(?<![^\s<>()\[\],;:\"'])[^\s<>()\[\],;:\"'@]{1,320}@[^\s<>()\[\],;:\"']{1,320}|\"[^\"]{0,64}\"@\S{1,320}"
)
_IP: Final = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\b", re.IGNORECASE)
_LINK: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_PATH: Final = re.compile(
    r"(?<![\w/.])/(?:[\w.+-]{1,64}/){1,8}[\w.+-]{0,64}"
)  # of a mailbox: its name is often another than that of the address
# A word with a figure that is longer than a code or a limit: ids of messages, sessions and queues.
_ID: Final = re.compile(r"(?<![\w.=+/-])(?=[\w.=+/-]{0,500}\d)[\w=+/-][\w.=+/-]{7,500}")
_NUMBER: Final = re.compile(r"(?<![\w.])\d{4,}(?!\w)")
# Mailboxes are also quoted or named without a domain: "user ann unknown".
_MAILBOX: Final = re.compile(
    r"\b(user|mailbox|recipient|account|address|to|for)([:=]?\s)(['\"`(]?)[\w.+-]{1,64}\3(?=\s(?:is|was|has|does|not|unknown|over|on)\b)",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W_]+")


def is_unknown(verdict: Verdict) -> bool:
    """Whether a reply came whose words no pattern knows."""
    return verdict.reply is not None and verdict.category is Category.OTHER and not verdict.must_split


def shape_of(verdict: Verdict, recipient: str) -> str:
    """The reply of a verdict without what differs from mail to mail, and without the name and the domain of the recipient, an address."""
    reply = verdict.reply
    if reply is None:
        return ""
    code = f"{reply.code} {reply.enhanced} " if reply.enhanced else f"{reply.code} "
    return _shape(code, _without(recipient, _cut(" / ".join(reply.lines))))


def _cut(text: str) -> str:
    """The beginning of a text, on one line, without a word that the cut has halved."""
    if len(text) > MAX_READ:
        text = text[:MAX_READ].rpartition(" ")[0]
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split()).replace("%40", "@")


def _without(recipient: str, text: str) -> str:
    """A text without the parts of an address, in any case and however its words are joined: `Ann Smith` is ann.smith."""
    local, _, domain = recipient.rpartition("@")
    looked_at = text.lower()
    for part, word in ((local, "NAME"), (local.partition("+")[0], "NAME"), (domain, "DOMAIN")):
        words = _WORD.findall(part.lower())
        if words and words[0] in looked_at:
            pattern = r"[\W_]{1,3}".join(re.escape(each) for each in words)
            text = re.sub(rf"(?<![^\W_]){pattern}(?![^\W_])", word, text, flags=re.IGNORECASE)
    return text


@lru_cache(maxsize=_SHAPES)
def _shape(code: str, text: str) -> str:
    for pattern, word in ((_LINK, "LINK"), (_ADDRESS, "ADDRESS"), (_PATH, "PATH"), (_IP, "IP"), (_ID, "ID"), (_NUMBER, "N")):
        text = pattern.sub(word, text)
    return (code + _MAILBOX.sub(r"\1\2NAME", text))[:MAX_SHAPE].rstrip()
