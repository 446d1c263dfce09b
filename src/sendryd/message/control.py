"""Control headers: orders to this server by header, for programs that can only speak SMTP.

What is not built yet is refused by name, and so is a name that nobody knows: nothing that was asked for is silently not done.
"""

import re
from typing import Final

from sendryd.message.headers import HeaderBlock

PREFIX: Final = b"x-sendry-"
_TAG: Final = re.compile(rb"[A-Za-z0-9_.@-]{1,256}=[A-Za-z0-9_.@-]{1,256}")  # the characters that the REST API allows in tags


def check_control_headers(headers: HeaderBlock) -> str | None:
    """The name of the first control header that cannot be obeyed or has a bad value; None if all is well."""
    for field in headers.fields:
        if not field.name.startswith(PREFIX):
            continue
        value = headers.value(field)
        is_good = (field.name == b"x-sendry-tag" and _TAG.fullmatch(value)) or (
            field.name == b"x-sendry-track" and value.lower() == b"none"
        )
        if not is_good:
            return "-".join(word.capitalize() for word in field.name.decode("ascii")[:60].split("-"))
    return None
