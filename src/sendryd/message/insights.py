"""Checks the quality of a message: properties that readers, spam filters and mail programs are known to dislike. Pure; each check measures the
message itself.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
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
_ANCHOR: Final = re.compile(r"<a\b[^<>]*>", re.IGNORECASE)
_HREF: Final = re.compile(r"""\bhref\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)'|([^\s"'<>]*))""", re.IGNORECASE)
_NOWHERE: Final = re.compile(r"#?|javascript:.*", re.IGNORECASE | re.DOTALL)
_HOST: Final = re.compile(r"https?://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/:?#]*)", re.IGNORECASE)
# Hosts that only the sender's own network knows: names without a dot, names for private use, private addresses.
_LOCAL: Final = re.compile(
    r"[^.]*|.*\.(?:local|localhost|localdomain|internal|lan)|(?:127|10)(?:\.\d+){3}|192\.168(?:\.\d+){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d+){2}",
    re.IGNORECASE,
)
_REMOTE_IMAGE: Final = re.compile(r"""\bsrc\s*=\s*["']?\s*https?://""", re.IGNORECASE)
_ACTIVE: Final = re.compile(r"<(script|form|iframe|object|embed|video|audio)\b", re.IGNORECASE)
# Types that large receivers refuse whatever the mail says.
_DANGEROUS: Final = (
    ".apk", ".bat", ".cab", ".cmd", ".com", ".exe", ".hta", ".iso", ".jar", ".js", ".lnk", ".msi", ".ps1", ".scr", ".vbs",
)  # fmt: skip
MAX_NAMED: Final = 3  # hosts or files that a sentence names
MAX_NAME: Final = 100  # characters of one
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
    checks = [_subject(subject), _parts(summary), _size(len(content)), *_files(summary)]
    if summary.html is not None:
        html = summary.html
        checks += [_html_size(html), _text_share(html), *_images(html), *_links(html), *_targets(html), *_active(html)]
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
    remote = sum(bool(_REMOTE_IMAGE.search(image)) for image in images)
    if not images:
        return []
    if bare:
        sentence = f"{bare} of {len(images)} images have no alternative text."
        checks = [Check(id="alt-text", label="Images", mark=Mark.WARN, message=sentence, action="Give each image an alt attribute.")]
    else:
        checks = [Check(id="alt-text", label="Images", mark=Mark.GOOD, message="All images have alternative texts.")]
    if remote:
        sentence = f"{remote} of {len(images)} images are on other servers: many mail programs ask before they load them."
        checks.append(Check(id="remote-images", label="Images elsewhere", mark=Mark.INFO, message=sentence))
    return checks


def _links(html: str) -> list[Check]:
    if _SHORTENED.search(html):
        action = "Link to where the link leads."
        return [
            Check(id="links", label="Links", mark=Mark.FAIL, message="A link goes through a shortener, which filters mind.", action=action)
        ]
    if _PLAIN_LINK.search(html):
        return [Check(id="links", label="Links", mark=Mark.INFO, message="A link uses http.", action="Use https.")]
    return [Check(id="links", label="Links", mark=Mark.GOOD, message="No link goes through a shortener or plain http.")]


def _targets(html: str) -> list[Check]:
    """Links that no reader can follow. Anchors without an address are no links."""
    found = (_HREF.search(anchor) for anchor in _ANCHOR.findall(html))
    targets = [unescape(next(group for group in each.groups() if group is not None)).strip() for each in found if each]
    empty = sum(bool(_NOWHERE.fullmatch(target)) for target in targets)
    hosts = dict.fromkeys(each[1].lower() for each in map(_HOST.match, targets) if each and _LOCAL.fullmatch(each[1]))
    checks = []
    if empty:
        sentence = f"{_count(empty, 'link leads', 'links lead')} nowhere."
        checks.append(Check(id="empty-links", label="Empty links", mark=Mark.WARN, message=sentence, action="Give each link an address."))
    if hosts:
        sentence = f"Links lead to hosts that readers cannot reach: {_names(hosts)}."
        action = "Link to a public address."
        checks.append(Check(id="local-links", label="Local links", mark=Mark.FAIL, message=sentence, action=action))
    return checks


def _active(html: str) -> list[Check]:
    names = dict.fromkeys(name.lower() for name in _ACTIVE.findall(html))
    if not names:
        return []
    sentence = f"The HTML has elements that mail programs remove and filters mind: {', '.join(names)}."
    return [Check(id="active-content", label="Active content", mark=Mark.WARN, message=sentence, action="Leave them out.")]


def _files(summary: Summary) -> list[Check]:
    names = [each.filename for each in summary.attachments if each.filename.lower().rstrip(". ").endswith(_DANGEROUS)]
    if not names:
        return []
    sentence = f"Large receivers refuse attachments of these types: {_names(names)}."
    return [Check(id="attachments", label="Attachments", mark=Mark.FAIL, message=sentence, action="Link to the files instead.")]


def _names(names: Collection[str]) -> str:
    """The first names of several, as a list."""
    first = [name[:MAX_NAME] or "a host without a name" for name in list(names)[:MAX_NAMED]]
    return ", ".join(first) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _unsubscribe(summary: Summary) -> Check:
    check_id, label = "unsubscribe", "Unsubscribing"
    body = f"{summary.html or ''} {summary.text or ''}".lower()
    if "unsubscribe" in body or "opt out" in body:
        return Check(id=check_id, label=label, mark=Mark.GOOD, message="The body tells how to unsubscribe.")
    action = "Link to the unsubscribe page in the body too."
    sentence = "One click unsubscribes by the header; the body does not say how."
    return Check(id=check_id, label=label, mark=Mark.WARN, message=sentence, action=action)
