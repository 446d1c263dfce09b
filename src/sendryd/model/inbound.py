"""Mail that came in for an account, as it is shown and forwarded."""

from dataclasses import dataclass, field
from datetime import datetime

from sendryd.model.ids import AccountId, InboundId


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundAttachment:
    """A part that is not shown as the mail itself."""

    filename: str
    content_type: str
    size: int  # octets, decoded
    content_id: str = ""  # empty if it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundContent:
    """What a person sees of a mail. Texts are for display: decoded, and cut where they are far too long."""

    author: str  # the address in From; the reverse-path if there is none
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[InboundAttachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMail:
    """One mail that came in."""

    id: InboundId
    account_id: AccountId
    content: InboundContent = field(repr=False)
    created_at: datetime
    is_forwarded: bool = False  # the URL of the account has taken it
    attempts: int = 0  # to post it
    due_at: datetime | None = None  # when it is posted next; None: not any more
