"""Captured emails as requests and answers have them. Pure."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.api.framework.bodies import Query, SearchText, Whole
from sendryd.message.parse import Summary
from sendryd.model.ids import TEST_MESSAGE_PREFIX, format_id
from sendryd.model.message import Message
from sendryd.model.moment import timestamp

MAX_WAIT: Final = 60  # seconds: what the contract allows
DEFAULT_WAIT: Final = 10


class WaitQuery(Query):
    """Which message to wait for."""

    to: SearchText | None = None
    subject: SearchText | None = None
    timeout: Annotated[Whole, Field(ge=0, le=MAX_WAIT)] = DEFAULT_WAIT


TestEmail = TypedDict("TestEmail", {"id": str, "from": str, "to": list[str], "subject": str, "message_type": str, "created_at": str})


class SizedAttachment(TypedDict):
    """An attachment with its size in octets."""

    filename: str
    content_type: str
    size: int


WholeTestEmail = TypedDict(
    "WholeTestEmail",
    {
        "id": str,
        "from": str,
        "to": list[str],
        "subject": str,
        "message_type": str,
        "created_at": str,
        "cc": list[str] | None,
        "html": str | None,
        "text": str | None,
        "headers": dict[str, str],
        "attachments": list[SizedAttachment],
    },
)


def test_email_json(message: Message) -> TestEmail:
    """A captured message in the Test Inbox's list."""
    return {
        "id": format_id(TEST_MESSAGE_PREFIX, message.id),
        "from": message.author,
        "to": list(message.to),
        "subject": message.subject,
        "message_type": message.type.value,
        "created_at": timestamp(message.created_at),
    }


def whole_test_email_json(message: Message, content: Summary) -> WholeTestEmail:
    """A captured message with its bodies."""
    return {
        **test_email_json(message),
        "cc": list(message.cc) or None,
        "html": content.html,
        "text": content.text,
        "headers": _headers_json(content.headers),
        "attachments": [{"filename": each.filename, "content_type": each.content_type, "size": each.size} for each in content.attachments],
    }


def _headers_json(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header fields by their names; the values of a name that occurs again are lines of one text, in their order."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(names.setdefault(name.lower(), name), []).append(value)
    return {name: "\n".join(each) for name, each in values.items()}
