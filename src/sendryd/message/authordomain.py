"""The domain of an author, from the display text that is stored with a message."""

import re
from functools import lru_cache
from typing import Final

from sendryd.message.author import normalise_domain
from sendryd.message.errors import MalformedMessage

# The last address, with what may follow it: the angle bracket and comments.
_LAST_DOMAIN: Final = re.compile(r"@([^\s@<>()\",;]+)>?(?:\s*\(.*\))?\Z", re.DOTALL)


@lru_cache(4096)  # an account has few authors, and a report meets each of them with every message
def author_domain(text: str | None) -> str | None:
    """The domain in A-label form; None if the text does not end with an address, or is empty because the message was deleted."""
    match = _LAST_DOMAIN.search((text or "").rstrip())
    if match is None:
        return None
    try:
        return normalise_domain(match[1])
    except MalformedMessage:
        return None
