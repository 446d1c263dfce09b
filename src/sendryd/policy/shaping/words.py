"""What of a reply counts for the rules: the words of the server, without what strangers have chosen. Pure.

Servers repeat the recipient in their replies, and anybody may have a mailbox named as a word of a rule.
"""

import re
from collections.abc import Iterable
from typing import Final

MOST: Final = 500  # characters of a reply: a few lines, and few steps of any pattern
_ADDRESS: Final = re.compile(r"\"[^\"]*\"@\S+|<[^<>]*>|[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")


def words_of(reply: str, recipients: Iterable[str]) -> str:
    """A reply without addresses, and without the names of the mailboxes of these recipients.

    >>> words_of("421 4.7.0 Too many connections, ib007@example.org (IB007) waits", ["IB007@example.org"])
    '421 4.7.0 Too many connections, ... (...) waits'
    """
    text = _ADDRESS.sub("...", reply[:MOST])
    names = sorted({name for each in recipients for name in _names(each)}, key=len, reverse=True)
    if names:
        text = re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", "...", text, flags=re.IGNORECASE)
    return text


def _names(recipient: str) -> tuple[str, ...]:
    local = recipient.rpartition("@")[0]
    return tuple(each for each in {local, local.strip('"'), local.partition("+")[0]} if each)
