"""Mail whose text is for its recipient alone: notices of the program with a link that lets somebody in. Pure.

A viewer of an account reads its mail. The link of an invitation would make the viewer an admin, so its text is not shown.
"""

from typing import Final

from sendryd.model.account import AccountSettings
from sendryd.model.actor import Role
from sendryd.model.message import Message

PRIVATE_TAG: Final = ("sendryd", "private")
_CRLF: Final = b"\r\n"
_WITHHELD: Final = b"The text of this mail is for its recipient alone: it has a link that lets somebody in.\r\n"


def may_read_content(role: Role, settings: AccountSettings) -> bool:
    """Whether people of a role see the texts of mails: viewers do unless their account keeps them back."""
    return role is not Role.VIEWER or settings.viewers_read_content


def is_private(message: Message) -> bool:
    """Whether the program itself sent the message as a private notice. Tags of keys do not make a message private."""
    return message.api_key_id is None and PRIVATE_TAG in message.tags


def shown_content(message: Message, content: bytes) -> bytes:
    """What may be shown of a content: of a private one, the header fields alone."""
    if not is_private(message):
        return content
    kept: list[bytes] = []
    drops = False
    for line in content.partition(_CRLF * 2)[0].split(_CRLF):
        drops = drops if line[:1] in {b" ", b"\t"} else line.lower().startswith((b"content-", b"mime-"))
        if not drops:
            kept.append(line)
    return _CRLF.join([*kept, b"", _WITHHELD])
