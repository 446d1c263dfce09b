"""Mail that came in, as rows have it."""

import json
from dataclasses import asdict
from typing import Any

from sendryd.model.ids import INBOUND_PREFIX, AccountId, InboundId
from sendryd.model.inbound import InboundAttachment, InboundContent, InboundMail
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, from_ms_or_none, to_json, to_ms, to_ms_or_none


def inbound_row(mail: InboundMail) -> dict[str, Any]:
    """The columns of a mail."""
    return {
        "id": mail.id,
        "account_id": mail.account_id,
        "content": to_json(asdict(mail.content)),
        "created_at": to_ms(mail.created_at),
        "is_forwarded": int(mail.is_forwarded),
        "attempts": mail.attempts,
        "due_at": to_ms_or_none(mail.due_at),
    }


@row_of(INBOUND_PREFIX)
def read_inbound(row: Row) -> InboundMail:
    """A mail. Raises `RowUnreadable`."""
    stored = json.loads(row["content"])
    content = InboundContent(
        **{
            **stored,
            "to": tuple(stored["to"]),
            "cc": tuple(stored["cc"]),
            "headers": tuple((name, value) for name, value in stored["headers"]),
            "attachments": tuple(InboundAttachment(**each) for each in stored["attachments"]),
        }
    )
    return InboundMail(
        id=InboundId(row["id"]),
        account_id=AccountId(row["account_id"]),
        content=content,
        created_at=from_ms(row["created_at"]),
        is_forwarded=bool(row["is_forwarded"]),
        attempts=row["attempts"],
        due_at=from_ms_or_none(row["due_at"]),
    )
