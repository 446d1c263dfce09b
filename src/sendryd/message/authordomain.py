"""The domain of an author, out of the text that a message keeps of its From field."""

import re
from functools import lru_cache
from typing import Final

from sendryd.message.author import normalise_domain
from sendryd.message.errors import MalformedMessage

# The last address, with what may follow it: the angle bracket and comments.
_LAST_DOMAIN: Final = re.compile(r"@([^\s@<>()\",;]+)>?(?:\s*\(.*\))?\Z", re.DOTALL)


@lru_cache(4096)  # an account has few authors, and a report meets each of them with every message
def author_domain(text: str | None) -> str | None:
    """The domain in A-label form; None if the text ends with no address, or there is no text because the message is gone."""
    match = _LAST_DOMAIN.search((text or "").rstrip())
    if match is None:
        return None
    try:
        return normalise_domain(match[1])
    except MalformedMessage:
        return None
