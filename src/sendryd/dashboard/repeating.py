"""A stored mail as a line to paste that sends it again by REST, as a new mail. Pure."""

from dataclasses import dataclass

from sendryd.dashboard.snippets import Place, post_mail
from sendryd.message.parse import Summary
from sendryd.model.apikey import KeyMode
from sendryd.model.message import Message
from sendryd.policy.explain.words import count


@dataclass(frozen=True, slots=True)
class Repeated:
    """The line, and what it leaves out of the mail."""

    line: str
    note: str
    is_test: bool  # a test key is to send it


def repeat(message: Message, summary: Summary, place: Place) -> Repeated:
    """The mail as its content has it. Tracked links and placeholders are those of the stored mail."""
    body: dict[str, object] = {"from": message.author, "to": list(message.to) or [place.recipient]}
    if message.cc:
        body["cc"] = list(message.cc)
    replies = [value for name, value in summary.headers if name.lower() == "reply-to"]
    if replies:
        body["reply_to"] = replies[0]
    body["subject"] = message.subject or ""
    body |= {name: text for name, text in (("html", summary.html), ("text", summary.text)) if text is not None}
    if not {"html", "text"} & body.keys():
        body["text"] = ""
    if message.tags:
        body["tags"] = [{"name": name, "value": value} for name, value in message.tags]
    left = [
        *(["hidden recipients"] if not message.to else []),
        *([count(len(summary.attachments), "attachment", "attachments")] if summary.attachments else []),
    ]
    return Repeated(post_mail(place, body), f"Left out: {', '.join(left)}." if left else "", message.mode is KeyMode.TEST)
