"""The bodies of requests that send, what is read of them, and what they are answered. Pure."""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal, NotRequired

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, PlainValidator, SkipValidation, WithJsonSchema
from typing_extensions import TypedDict

from sendryd.api.emails.schema import EmailStatus
from sendryd.api.framework.bodies import Body, Line
from sendryd.message.compose import Attachment
from sendryd.message.control import MAX_URL, is_http_url
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import Mailbox, parse_mailbox
from sendryd.message.parse import SLICE
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, MessageId, format_id
from sendryd.model.message import derive_status
from sendryd.model.moment import timestamp
from sendryd.store.base import NewMessage

MAX_RECIPIENTS: Final = 50  # in each of to, cc and bcc: the contract
MAX_BATCH: Final = 100  # the contract
MAX_HTML: Final = 5_242_880  # characters: the contract
MAX_TEXT: Final = 1_048_576  # characters: the contract
MAX_ATTACHMENTS: Final = 100  # more than any mail program shows, and the size has its own limit
MAX_TAGS: Final = 50
MAX_HEADERS: Final = 100
MAX_VALUE: Final = 8000  # characters of a custom header: folded, some hundred lines
_HEADER_NAME: Final = re.compile(r"X-[A-Za-z0-9-]{1,70}", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_.@-]{1,256}", re.ASCII)
_RESERVED: Final = "x-sendry-"


def _read_mailbox(value: object) -> Mailbox:
    if not isinstance(value, str):
        raise ValueError("it is a string")
    try:
        return parse_mailbox(value)
    except MalformedMessage as error:
        raise ValueError(error.reason) from None


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _listed_if_any(value: object) -> object:
    """A list without the empty texts that forms and templates leave where nothing was entered."""
    found = _listed(value)
    return [each for each in found if not (isinstance(each, str) and not each.strip())] if isinstance(found, list) else found


def _nothing(value: object) -> object:
    return None if value == "" else value


def _check_tag(text: str) -> str:
    if not _TAG.fullmatch(text):
        raise ValueError("write 1 to 256 letters, digits and _ - . @")
    return text


def _check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a header that can be set: names begin with X- and have letters, digits and hyphens")
        if name.lower().startswith(_RESERVED):
            raise ValueError(f"{name} is an order to this server: use the fields of the request instead")
    return headers


def _check_url(text: str) -> str:
    if not is_http_url(text):
        raise ValueError("write an http or https URL")
    return text


def _decode(text: str) -> bytes:
    try:
        return b"".join(_decode_slices(text))
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None


def _decode_slices(text: str) -> Iterator[bytes]:
    """Raises `ValueError`. One call over all of a large attachment would keep the other threads waiting."""
    letters = ""
    for start in range(0, len(text), SLICE):
        letters += "".join(text[start : start + SLICE].split())
        whole = max(0, len(letters) // 4 - 2) * 4  # the end has its rules for padding, and is decoded as one
        if "=" in letters[:whole]:
            raise ValueError("there is more behind the padding")
        yield base64.b64decode(letters[:whole], validate=True)
        letters = letters[whole:]
    yield base64.b64decode(letters, validate=True)


Address = Annotated[Mailbox, PlainValidator(_read_mailbox), WithJsonSchema({"type": "string", "minLength": 3})]
_Few = Annotated[list[Address], Field(max_length=MAX_RECIPIENTS)]  # next to the list: reading ends with the first that is too many
_Some = Annotated[_Few, Field(min_length=1)]
Recipients = Annotated[_Some, BeforeValidator(_listed, json_schema_input_type=Address | _Some)]
OptionalRecipients = Annotated[_Few, BeforeValidator(_listed_if_any, json_schema_input_type=str | _Few)]
OptionalAddress = Annotated[Address | None, BeforeValidator(_nothing)]
Html = Annotated[str, Field(max_length=MAX_HTML)]
PlainText = Annotated[str, Field(max_length=MAX_TEXT)]
Subject = Annotated[Line, Field(max_length=998)]
Priority = Annotated[
    Literal["otp", "transactional", "bulk"],
    Field(
        description="Which emails go first when there are more than a receiver takes at once. One-time passwords expire after 30 minutes."
    ),
]
TagWord = Annotated[str, AfterValidator(_check_tag)]
Url = Annotated[Annotated[str, Field(max_length=MAX_URL)], AfterValidator(_check_url)]
HeaderMap = Annotated[
    Annotated[dict[str, Annotated[Line, Field(max_length=MAX_VALUE)]], Field(max_length=MAX_HEADERS)], AfterValidator(_check_headers)
]


class Tag(Body):
    """A name and a value by which emails can be found."""

    name: TagWord
    value: TagWord


class AttachmentBody(Body):
    """An attached file; with a `content_id`, an image that the HTML shows as `cid:…`."""

    filename: Annotated[Line, Field(min_length=1, max_length=255)]
    content: str
    content_type: Annotated[Line, Field(min_length=3, max_length=255)] = "application/octet-stream"
    content_id: Annotated[Line, Field(max_length=255)] | None = None

    def read(self) -> Attachment:
        """The file. Raises `ValueError`."""
        return Attachment(
            filename=self.filename, content=_decode(self.content), content_type=self.content_type, content_id=self.content_id or None
        )


class Content(Body):
    """What all requests that send have in common."""

    to: Recipients
    cc: OptionalRecipients | None = None
    bcc: OptionalRecipients | None = None
    reply_to: OptionalRecipients | None = None
    html: Html | None = None
    text: PlainText | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] | None = None
    variables: dict[str, object] | None = None
    attachments: Annotated[list[AttachmentBody], Field(max_length=MAX_ATTACHMENTS)] | None = None


class SendBody(Content):
    """An email to send or schedule."""

    sender: Annotated[Address, Field(alias="from")]
    subject: Subject | None = None
    headers: HeaderMap | None = None
    scheduled_at: Annotated[str, Field(max_length=200)] | None = None
    template_id: str | None = None
    tracking: bool | None = None
    topic_id: str | None = None
    priority: Priority | None = None


class BatchItemBody(Content):
    """One email of a batch. A field that it lacks is taken from the batch."""

    sender: Annotated[Address | None, Field(validation_alias=AliasChoices("from", "from_"))] = None
    subject: Subject | None = None
    priority: Priority | None = None


class BatchBody(Body):
    """Up to 100 emails, with the fields that they share."""

    sender: Annotated[Address | None, Field(alias="from")] = None
    subject: Subject | None = None
    template_id: str | None = None
    variables: dict[str, object] | None = None
    emails: Annotated[list[SkipValidation[BatchItemBody]], Field(min_length=1, max_length=MAX_BATCH)]
    batch_validation: Literal["strict", "permissive"] = "strict"


class MarketingBody(Body):
    """A marketing email to send or schedule."""

    sender: Annotated[Address, Field(alias="from")]
    to: Recipients
    subject: Subject | None = None
    html: Html | None = None
    text: PlainText | None = None
    reply_to: OptionalRecipients | None = None
    headers: HeaderMap | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] | None = None
    unsubscribe_url: Url
    list_id: Annotated[Line, Field(max_length=200)] | None = None
    scheduled_at: Annotated[str, Field(max_length=200)] | None = None
    template_id: str | None = None
    variables: dict[str, object] | None = None


class AmendBody(Body):
    """The fields of a scheduled email to change."""

    subject: Annotated[Subject, Field(min_length=1)] | None = None
    html: Html | None = None
    text: PlainText | None = None
    scheduled_at: Annotated[str, Field(max_length=200)] | None = None


SendResult = TypedDict("SendResult", {"id": str, "from": str, "to": list[str], "subject": str, "status": EmailStatus, "created_at": str})


class IdAndStatus(TypedDict):
    """The id and the status of an email."""

    id: str
    status: str


class BatchError(TypedDict):
    """Why one email of a batch was refused."""

    index: int
    error: str


class BatchResult(TypedDict):
    """The emails of a batch that were accepted, and the errors of the others."""

    data: list[IdAndStatus]
    errors: NotRequired[list[BatchError]]


class Cancelled(TypedDict):
    """The email is cancelled."""

    id: str
    status: Literal["cancelled"]


def send_result_json(new: NewMessage, to: Sequence[Mailbox]) -> SendResult:
    """A message that was made just now; its recipients as the request named them."""
    message = new.message
    return {
        "id": format_id(MESSAGE_PREFIX, message.id),
        "from": message.author,
        "to": [f"{mailbox.name} <{mailbox.address}>" if mailbox.name else mailbox.address for mailbox in to],
        "subject": message.subject,
        "status": _status_of(new),
        "created_at": timestamp(message.created_at),
    }


def batch_item_json(new: NewMessage) -> IdAndStatus:
    """A message of a batch."""
    return {"id": format_id(MESSAGE_PREFIX, new.message.id), "status": _status_of(new)}


def cancelled_json(message_id: MessageId) -> Cancelled:
    """A message that was cancelled."""
    return {"id": format_id(MESSAGE_PREFIX, message_id), "status": "cancelled"}


def _status_of(new: NewMessage) -> EmailStatus:
    states = Counter(delivery.state for delivery in new.deliveries)
    is_complained = any(event.type is EventType.COMPLAINED for delivery in new.deliveries for event in delivery.events)
    return derive_status(states, has_attempts=False, is_complained=is_complained).value
