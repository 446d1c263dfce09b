"""Checks the quality of a message: properties that readers, spam filters and mail programs are known to dislike. Pure; each check measures the
message itself.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sendryd.message.parse import Summary, summarise
from sendryd.message.plaintext import html_to_text

MAX_SUBJECT: Final = 70  # characters that common mail programs show in a list
MAX_HTML: Final = 102_000  # octets: Gmail clips longer messages
MAX_SIZE: Final = 10 * 1024 * 1024  # octets that nearly every receiver accepts
MIN_TEXT_SHARE: Final = 0.02  # of the HTML: a smaller share is an image with a little text, which is typical of spam
_IMAGE: Final = re.compile(r"<img\b[^<>]*>", re.IGNORECASE)  # no tag within a tag: a search from each of many that never end would not end
_ALT: Final = re.compile(r"\balt\s*=", re.IGNORECASE)
_PLAIN_LINK: Final = re.compile(r"\bhref\s*=\s*[\"']?http://", re.IGNORECASE)
_SHORTENED: Final = re.compile(r"\bhref\s*=\s*[\"']?https?://(?:bit\.ly|t\.co|goo\.gl|tinyurl\.com|ow\.ly|is\.gd)/", re.IGNORECASE)
_CAPITALS: Final = re.compile(r"\b[A-Z]{3,}\b|[a-z]")
MAX_CAPITALS: Final = 2  # consecutive words in capitals
_RUNS: Final = re.compile(r"[!?]{2,}|\${2,}")


class Mark(StrEnum):
    """The result of one check."""

    GOOD = "pass"
    WARN = "warn"
    FAIL = "fail"
    INFO = "info"


COSTS: Final = {Mark.GOOD: 0, Mark.INFO: 0, Mark.WARN: 10, Mark.FAIL: 25}  # of a hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check and its result."""

    id: str
    label: str
    mark: Mark
    message: str
    action: str | None = None  # what to change


def score(checks: list[Check]) -> int:
    """From 0 to 100."""
    return max(0, 100 - sum(COSTS[check.mark] for check in checks))


def examine(content: bytes, *, is_marketing: bool) -> list[Check]:
    """All checks of a message."""
    summary = summarise(content)
    subject = next((value for name, value in summary.headers if name.lower() == "subject"), "")
    checks = [_subject(subject), _parts(summary), _size(len(content))]
    if summary.html is not None:
        checks += [_html_size(summary.html), _text_share(summary.html), *_images(summary.html), *_links(summary.html)]
    if is_marketing:
        checks.append(_unsubscribe(summary))
    return checks


def _subject(subject: str) -> Check:
    check_id, label = "subject", "Subject"
    if not subject.strip():
        return Check(id=check_id, label=label, mark=Mark.FAIL, message="There is no subject.", action="Give it one.")
    if len(subject) > MAX_SUBJECT:
        sentence = f"The subject has {len(subject)} characters; mail programs show about {MAX_SUBJECT}."
        return Check(id=check_id, label=label, mark=Mark.WARN, message=sentence, action="Shorten it.")
    if _shouts(subject) or _RUNS.search(subject):
        action = "Use capitals and punctuation sparingly."
        return Check(id=check_id, label=label, mark=Mark.WARN, message="The subject shouts, which filters mind.", action=action)
    return Check(id=check_id, label=label, mark=Mark.GOOD, message="The subject is there and has a good length.")


def _shouts(subject: str) -> bool:
    count = 0
    for found in _CAPITALS.finditer(subject):
        count = count + 1 if len(found[0]) > 1 else 0
        if count > MAX_CAPITALS:
            return True
    return False


def _parts(summary: Summary) -> Check:
    check_id, label = "plain-text", "Plain text"
    if summary.text is None:
        action = "Send text beside the HTML."
        return Check(id=check_id, label=label, mark=Mark.WARN, message="There is no text for readers that show no HTML.", action=action)
    return Check(id=check_id, label=label, mark=Mark.GOOD, message="There is a text for readers that show no HTML.")


def _size(octets: int) -> Check:
    check_id, label = "size", "Size"
    sentence = f"The message has {octets:,} octets."
    if octets > MAX_SIZE:
        return Check(id=check_id, label=label, mark=Mark.WARN, message=sentence, action="Link to large files instead of attaching them.")
    return Check(id=check_id, label=label, mark=Mark.GOOD, message=sentence)


def _html_size(html: str) -> Check:
    check_id, label, octets = "html-size", "Size of the HTML", len(html.encode("utf-8", "replace"))
    if octets > MAX_HTML:
        sentence = f"The HTML has {octets:,} octets; Gmail cuts it off behind {MAX_HTML:,}."
        return Check(id=check_id, label=label, mark=Mark.WARN, message=sentence, action="Make it shorter.")
    return Check(id=check_id, label=label, mark=Mark.GOOD, message="The HTML is short enough to be shown whole.")


def _text_share(html: str) -> Check:
    check_id, label, share = "text-share", "Text in the HTML", len(html_to_text(html)) / max(1, len(html))
    if share < MIN_TEXT_SHARE:
        action = "Write more of it as text."
        return Check(id=check_id, label=label, mark=Mark.WARN, message="The HTML has hardly any text.", action=action)
    return Check(id=check_id, label=label, mark=Mark.GOOD, message="The HTML has text.")


def _images(html: str) -> list[Check]:
    images = _IMAGE.findall(html)
    bare = sum(not _ALT.search(image) for image in images)
    if not images:
        return []
    if bare:
        sentence = f"{bare} of {len(images)} images have no alternative text."
        return [Check(id="alt-text", label="Images", mark=Mark.WARN, message=sentence, action="Give each image an alt attribute.")]
    return [Check(id="alt-text", label="Images", mark=Mark.GOOD, message="All images have alternative texts.")]


def _links(html: str) -> list[Check]:
    if _SHORTENED.search(html):
        action = "Link to where the link leads."
        return [
            Check(id="links", label="Links", mark=Mark.FAIL, message="A link goes through a shortener, which filters mind.", action=action)
        ]
    if _PLAIN_LINK.search(html):
        return [Check(id="links", label="Links", mark=Mark.INFO, message="A link uses http.", action="Use https.")]
    return [Check(id="links", label="Links", mark=Mark.GOOD, message="No link goes through a shortener or plain http.")]


def _unsubscribe(summary: Summary) -> Check:
    check_id, label = "unsubscribe", "Unsubscribing"
    body = f"{summary.html or ''} {summary.text or ''}".lower()
    if "unsubscribe" in body or "opt out" in body:
        return Check(id=check_id, label=label, mark=Mark.GOOD, message="The body tells how to unsubscribe.")
    action = "Link to the unsubscribe page in the body too."
    sentence = "One click unsubscribes by the header; the body does not say how."
    return Check(id=check_id, label=label, mark=Mark.WARN, message=sentence, action=action)
