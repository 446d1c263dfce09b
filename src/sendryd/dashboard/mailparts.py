"""The parts of one mail as a page shows them: its text, header fields, attachments, source. Large ones are cut, and downloads have the whole."""

from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Final

from sendryd.dashboard.readers import WITHHELD, may_read
from sendryd.dashboard.repeating import Repeated, repeat
from sendryd.dashboard.timeline import size_text
from sendryd.dashboard.visit import Visit
from sendryd.message.errors import MalformedMessage
from sendryd.message.fenced import examine_message
from sendryd.message.insights import Mark
from sendryd.message.parse import Summary, summarise, walk
from sendryd.message.plaintext import strip_tags
from sendryd.model.ids import MESSAGE_PREFIX, format_id
from sendryd.model.message import Message, MessageType
from sendryd.policy.privacy import is_private, shown_content
from sendryd.runtime import offload
from sendryd.runtime.budget import BudgetExhausted
from sendryd.runtime.fence import FenceFault, FenceUnavailable, TooCostly
from sendryd.runtime.log import get_logger
from sendryd.store.errors import StoreError
from sendryd.web.foreign import MAX_HTML, MAX_WHOLE

SHOWN: Final = 256 * 1024  # characters of a text, octets of a source: more is no reading for people
MAX_REPEATED: Final = 64 * 1024  # octets of a mail that becomes a line to paste: shells take 128 KiB
MAX_FIELDS: Final = 500  # header fields that are shown
MAX_VALUE: Final = 4096  # characters of one
MAX_ATTACHMENTS: Final = 1000  # the parser's limit of parts
MAX_NODES: Final = 100  # parts of the MIME structure that are shown: more are attachments, which have a list of their own
MAX_INDENT: Final = 6  # steps to the right that the style sheet knows
MAX_CHECKED: Final = 8 * 1024 * 1024  # octets of a mail whose properties are examined: it is copied to the fence's process
_MARKS: Final = {Mark.GOOD: ("ok", "ok"), Mark.WARN: ("slow", "warn"), Mark.FAIL: ("bad", "bad"), Mark.INFO: ("go", "go")}
BUSY: Final = "Too many large mails are shown just now: load the page again in a minute."
LOST: Final = "The stored content of this mail cannot be read. The timeline stays; the server's log has the reason."

log = get_logger("dashboard")


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """A file to download."""

    number: int
    name: str
    type: str
    size: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """A part of the MIME structure."""

    depth: int
    type: str
    name: str
    size: str


@dataclass(frozen=True, slots=True)
class CheckView:
    """A property of the mail that readers, mail programs or filters mind, or that is as it should be."""

    id: str
    mark: str
    tone: str
    shape: str
    label: str
    message: str
    action: str


@dataclass(frozen=True, slots=True)
class PartsView:
    """What one part of the page shows; what it does not need keeps its default."""

    fault: str = ""  # a sentence instead of the content
    note: str = ""
    repeated: Repeated | None = None  # the mail as a line to paste
    text: str = ""
    has_html: bool = False
    html_size: int = 0  # characters
    remote: int = 0  # pictures from elsewhere
    checks: tuple[CheckView, ...] = ()
    structure: tuple[NodeView, ...] = ()  # the last one is empty if there are more
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[AttachmentView, ...] = ()


async def read_parts(visit: Visit, message: Message, part: str) -> PartsView:
    """Text, header fields and attachments; for the preview also what its frame leaves out, for the attachments the MIME structure."""
    needs = visit.needs
    if not await may_read(visit):
        return PartsView(fault=WITHHELD)
    try:
        async with needs.answers.room(message.size):
            content = shown_content(message, await needs.store.read_content(message.id))
            summary = await offload.in_thread(summarise, content)
            parts = await offload.in_thread(_parts, summary)
            if part == "Preview":
                return await _with_preview(visit, message, content, summary, parts)
            return replace(parts, structure=await offload.in_thread(_structure, content)) if part == "Attachments" else parts
    except BudgetExhausted:
        return PartsView(fault=BUSY)
    except StoreError as error:
        log.error("content_not_shown", id=format_id(MESSAGE_PREFIX, message.id), error=repr(error))
        return PartsView(fault=LOST)


async def _with_preview(visit: Visit, message: Message, content: bytes, summary: Summary, parts: PartsView) -> PartsView:
    """With what the frame leaves out, and the checks."""
    needs, html = visit.needs, summary.html
    max_html = MAX_WHOLE if visit.query("html") == "whole" else MAX_HTML
    remote = await needs.framer.remote_pictures(html, lane=message.account_id, max_html=max_html) if html is not None else []
    found: list[dict[str, str]] = []
    if len(content) <= MAX_CHECKED:
        is_marketing = message.type is MessageType.MARKETING
        with suppress(TooCostly, FenceUnavailable, FenceFault):  # the mail is shown without checks
            found = await needs.fences.previews.run(examine_message, content, is_marketing, lane=message.account_id)
    checks = tuple(
        CheckView(each["id"], each["mark"], *_MARKS[Mark(each["mark"])], each["label"], _clean(each["message"]), each["action"] or "")
        for each in found
    )
    return replace(parts, html_size=len(html or ""), remote=len(remote), checks=checks)


def _parts(summary: Summary) -> PartsView:
    text, note = summary.text, ""
    if text is None:
        text = strip_tags(summary.html[: 4 * SHOWN]) if summary.html is not None else ""
        note = "This mail has no text part. This is the text of its HTML." if summary.html is not None else "This mail has no text."
    if len(text) > SHOWN:
        note = f"{note} Only the beginning is shown; the source has the whole.".lstrip()
    attachments = enumerate(summary.attachments[:MAX_ATTACHMENTS])
    return PartsView(
        note=note,
        text=_clean(text[:SHOWN]),
        has_html=summary.html is not None,
        headers=tuple((name, _clean(value[:MAX_VALUE])) for name, value in summary.headers[:MAX_FIELDS]),
        attachments=tuple(
            AttachmentView(number, _clean(each.filename) or "without a name", each.content_type, size_text(each.size))
            for number, each in attachments
        ),
    )


def _structure(content: bytes) -> tuple[NodeView, ...]:
    try:
        parts = walk(content, opens_messages=True)
    except MalformedMessage:
        return ()
    nodes = [
        NodeView(min(part.depth, MAX_INDENT), _clean(part.content_type), _clean(part.filename), size_text(part.body_end - part.body_start))
        for part in parts[:MAX_NODES]
    ]
    return (*nodes, NodeView(0, "", "", "")) if len(parts) > MAX_NODES else tuple(nodes)


async def read_source(visit: Visit, message: Message) -> PartsView:
    """The beginning of the stored octets as text. Reads no more than it shows."""
    if not await may_read(visit):
        return PartsView(fault=WITHHELD)
    pieces: list[bytes] = []
    left = SHOWN
    try:
        async with aclosing(visit.needs.store.stream_content(message.id)) as stream:  # type: ignore[type-var]
            async for piece in stream:
                pieces.append(piece[:left])
                left -= len(pieces[-1])
                if left == 0:
                    break
    except StoreError as error:
        log.error("content_not_shown", id=format_id(MESSAGE_PREFIX, message.id), error=repr(error))
        return PartsView(fault=LOST)
    octets = shown_content(message, b"".join(pieces))
    note = f"The first {size_text(SHOWN)} of {size_text(message.size)}." if message.size > SHOWN else ""
    repeated = None
    if message.size <= MAX_REPEATED and not is_private(message):
        place = visit.place("", visit.me.signed_in.person.email)
        repeated = repeat(message, await offload.in_thread(summarise, octets), place)
    return PartsView(note=note, repeated=repeated, text=_clean(octets.decode("utf-8", "replace").replace("\r\n", "\n")))


def _clean(text: str) -> str:
    """Text that can be encoded: strangers' may contain lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")
