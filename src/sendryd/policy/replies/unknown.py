"""Replies that the table of patterns does not know, brought to a shape that repeats: without addresses, names of mailboxes, numbers and ids. Pure.

A reply is unknown if its words told nothing, so that its bare code decided (`Category.OTHER`). The list of such replies is where the table grows from.
"""

import re
from typing import Final

from sendryd.policy.replies.verdict import Category, Verdict

MAX_SHAPE: Final = 400  # characters
_ADDRESS: Final = re.compile(r"<[^<>]*>|[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+|\"[^\"]*\"@\S+")
_IP: Final = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\b", re.IGNORECASE)
_LINK: Final = re.compile(r"https?://\S+", re.IGNORECASE)
# A word with a figure that is longer than a code or a limit: ids of messages, sessions and queues.
_ID: Final = re.compile(r"(?<![\w.])(?=[\w.=+/-]*\d)[\w=+/-][\w.=+/-]{7,}")
_NUMBER: Final = re.compile(r"(?<![\w.])\d{4,}(?!\w)")
# Mailboxes are also quoted or named without a domain: "user ann unknown".
_MAILBOX: Final = re.compile(
    r"\b(user|mailbox|recipient|account|address|to|for)([:=]?\s+)(['\"`(]?)[\w.+-]+\3(?=\s+(?:is|was|has|does|not|unknown|over|on)\b)",
    re.IGNORECASE,
)


def is_unknown(verdict: Verdict) -> bool:
    """Whether a reply came whose words no pattern knows."""
    return verdict.reply is not None and verdict.category is Category.OTHER and not verdict.must_split


def shape_of(verdict: Verdict) -> str:
    """The reply of a verdict without what differs from mail to mail."""
    said = "".join(letter if letter.isprintable() else " " for letter in str(verdict.reply))
    text = " ".join(said.split())
    for pattern, word in ((_LINK, "LINK"), (_ADDRESS, "ADDRESS"), (_IP, "IP"), (_ID, "ID"), (_NUMBER, "N")):
        text = pattern.sub(word, text)
    text = _MAILBOX.sub(r"\1\2NAME", text)
    return text[:MAX_SHAPE].rstrip()
