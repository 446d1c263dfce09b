"""Bounces that are written for people alone: text in a program's own words, as qmail, Exim, old Exchange, Domino and many gateways send.

Strategy: words that only such programs write say that the text is a bounce; what follows up to the copy of the message is read line by line for
addresses and for the reason beside each. No pattern spans lines, so the work grows with the size of the text, which is cut at `MAX_LOOKED_AT`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sendryd.message.charset import one_line
from sendryd.message.reports.autoreply import speaks_for_person
from sendryd.message.reports.deliverystatus import find_status
from sendryd.message.reports.fields import Group, addresses_in
from sendryd.message.reports.report import MAX_RECIPIENTS, MAX_TEXT, Action, RecipientStatus, Report, ReportKind

MAX_LOOKED_AT: Final = 64 * 1024  # characters of a text: what a program says itself takes a few kilobytes
MAX_LINE: Final = 2_000  # characters of a line: longer than the longest reply
MAX_REASON_LINES: Final = 8  # after the address: what follows is another matter

_DAEMONS: Final = re.compile(
    r"(?:mailer[-_. ]?daemon|mail[-_. ]?delivery|postmaster|mdaemon|majordomo-owner|mail[-_. ]?system|bounces?|administrator|double-bounce|returned)"
    r"(?:[-_+.=][^@\s]*)?@|mail delivery (?:sub)?system|mailer[- ]daemon|mail administrator|system administrator",
    re.IGNORECASE,
)
# What programs say when they could not deliver. Each is a clause of a program's text, and rare in what people write.
_FAILURES: Final = re.compile(
    r"(?:mail|message|e-?mail|it)s? (?:that )?(?:you )?(?:have )?(?:sent )?(?:to [^ ]{1,200} )?(?:could not|couldn't|can ?not|cannot|was not able to) be"
    r" (?:delivered|sent)"
    r"|(?:could not|couldn't|cannot|can't|was unable to|wasn't able to|unable to|were unable to) (?:be delivered|deliver) (?:your |the |this )?"
    r"(?:message|mail|e-?mail|to)"
    r"|wasn't delivered to|was not delivered to|(?:was|is|were) undeliverable|undeliverable (?:mail|message|to)|undelivered mail returned"
    r"|did not reach (?:some or all of )?the (?:intended|following) recipient|could not be reached|couldn't be reached|reach the following"
    r"|delivery (?:to the following recipients? )?(?:has )?(?:failed|failure)|failed to deliver|not deliverable|non-?delivery|delivery status: fail"
    r"|had (?:permanent fatal errors|(?:permanent )?delivery (?:errors|problems))|returned (?:mail|to sender)|mail (?:is|was) returned|failure notice"
    r"|permanent error\. i've given up|following address(?:es|\(es\))? (?:has |have )?failed|mailbox (?:is )?(?:un)?(?:available|known) .{0,40}rejected"
    r"|invalid final delivery userid|message was rejected by (?:the )?recipient|we (?:were|are) (?:sorry|unable)(?: to inform| that|,)? .{0,80}deliver"
    r"|konnte nicht zugestellt|konnten nicht zugestellt|nicht zustellbar|unzustellbar|n'a pas pu être (?:remis|délivré|distribué)|non remis"
    r"|n'a pas été (?:remis|distribué)|no se (?:ha podido|pudo|puede) entregar|no pudo ser entregado|impossibile recapitare|non è stato (?:possibile )?"
    r"(?:recapita|consegna)|não pôde ser entregue|kon niet worden (?:bezorgd|afgeleverd)|nie (?:mogła|może) zostać dostarczon|не (?:было|может быть)"
    r" доставлен|не доставлено|не удалось доставить|无法投递|无法送达|退信|投递失败|配信できません|送信できません|配達できません|お届けできません",
    re.IGNORECASE,
)
_DELAYS: Final = re.compile(
    r"\(delay(?:ed)?\)|warning message only|this is (?:only )?a warning|has not (?:yet )?been delivered|not yet been delivered"
    r"|(?:delivery|message|mail) (?:\w+ )?(?:has been |is |was )?"
    r"delayed|will (?:be retried|keep trying|continue to try|retry)|no action is required|do not need to (?:resend|do anything)|still being (?:tried|attempted)"
    r"|temporary (?:problem|failure) .{0,60}(?:retry|try)|verzögert|retardé",
    re.IGNORECASE,
)
_LAST_WORD: Final = re.compile(r"given up|giving up|will not be retried|no longer be (?:tried|retried)|permanent|too long", re.IGNORECASE)
_CONDITION: Final = re.compile(r"\b(?:if|unless|until|when|should|in case)\b[^.;!?]{0,200}", re.IGNORECASE)  # what may come, not what has
# Where the copy of the message begins.
_COPY: Final = re.compile(
    r"[-=*|+> ]{2,}.{0,60}\b(?:copy of (?:the|your)|below this line|original message|returned message|message (?:headers?|body|text) follows|"
    r"(?:your|unsent|undelivered|included|the header of the) (?:message|original)|included is|headers? (?:of the|follow)|message header|"
    r"ursprüngliche nachricht|forwarded message|message follows)"
    r"|(?:received|return-path|dkim-signature|x-[a-z-]+): .|the (?:body|header|headers|first lines) of (?:your|the) message (?:is|are|follow)"
    r"|original message (?:headers?:|follows)|----- (?:original|message) ",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"(?<![\d.@-])[45][0-5]\d(?:[ -]|$)|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")
_PUNCTUATION: Final = " \t<>:,;\"'|*-[]"
_NOT_RECIPIENT: Final = re.compile(r"(?:mailer-daemon|postmaster|mail-daemon|abuse|noreply|no-reply|support)@", re.IGNORECASE)
_FROM_LINE: Final = re.compile(
    r"\s*(?:>\s*)?(?:from|sender|subject|date|sent|message-id|reply-to|von|de|received|for (?:help|assistance)|contact)\b\W", re.IGNORECASE
)


@dataclass(slots=True)
class _Named:
    """An address in the text, and the lines beside it."""

    address: str
    before: str = ""  # on its line
    lines: list[str] = field(default_factory=list)  # after it


def is_of_daemon(header: Group, subject: str, *, is_null_sender: bool) -> bool:
    """Whether a program may have sent the message because mail could not be delivered."""
    if "x-failed-recipients" in header:
        return True
    if speaks_for_person(header, subject):  # of a postmaster who is on leave, too
        return False
    if _DAEMONS.search(header.get("from", "")):
        return True
    return is_null_sender and _FAILURES.match(subject.strip()) is not None


def read_bounce_text(header: Group, subject: str, text: str, returned: str) -> Report | None:
    """The report in a text; None if the text is no bounce."""
    lines, copy = _split(text)
    own = "\n".join(lines)
    is_named = "x-failed-recipients" in header
    in_text = " ".join(own.split())
    is_bounce = is_named or _FAILURES.search(in_text) or _DELAYS.search(in_text)
    if not is_bounce and not _FAILURES.search(subject):
        return None
    recipients = _read_recipients(lines, addresses_in(header.get("x-failed-recipients", ""))[:MAX_RECIPIENTS])
    if not recipients:
        return None
    if not is_bounce and not any(each.status or _CODE.search(each.diagnostic) for each in recipients):
        return None
    action = _action(in_text, subject)
    return Report(
        kind=ReportKind.STATUS,
        recipients=tuple(
            RecipientStatus(action=action, status=s.status, diagnostic=s.diagnostic, final_recipient=s.final_recipient) for s in recipients
        ),
        returned=f"{returned}\n{copy}",
        is_text=True,
    )


def _action(text: str, subject: str) -> Action:
    is_delay = _DELAYS.search(text) or _DELAYS.search(subject)
    return Action.DELAYED if is_delay and not _LAST_WORD.search(_CONDITION.sub(" ", text)) else Action.FAILED


def _split(text: str) -> tuple[list[str], str]:
    """The lines that the program wrote itself, and the copy of the message after them."""
    lines = text[:MAX_LOOKED_AT].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines):
        if _COPY.match(line[:MAX_LINE].strip()):
            return [each[:MAX_LINE] for each in lines[:number]], "\n".join(lines[number:])
    return [each[:MAX_LINE] for each in lines], ""


def _read_recipients(lines: Sequence[str], named: Sequence[str]) -> list[RecipientStatus]:
    found: dict[str, _Named] = {}
    current: _Named | None = None
    for line in lines:
        address = _recipient_of(line)
        if address and address.lower() not in found and len(found) < MAX_RECIPIENTS:
            before, _, after = line.partition(address)
            current = found[address.lower()] = _Named(address, before.strip(_PUNCTUATION))
            rest = after.strip(_PUNCTUATION)
            if rest and not rest.startswith(("on ", "am ")):
                current.lines.append(rest)
        elif current is not None and line.strip() and len(current.lines) < MAX_REASON_LINES:
            current.lines.append(line.strip())
    if named:  # the program says whom: what else is in the text are names of servers and people
        found = {each.lower(): found.get(each.lower(), _Named(each)) for each in named}
    general = _reason([line.strip() for line in lines if _CODE.search(line)])
    return [_make(each, general) for each in found.values()]


def _recipient_of(line: str) -> str:
    if _FROM_LINE.match(line):
        return ""
    return next((each for each in addresses_in(line) if not _NOT_RECIPIENT.match(each) and "." in each.rpartition("@")[2]), "")


def _make(named: _Named, general: str) -> RecipientStatus:
    reason = _reason(named.lines) or named.before
    if not _CODE.search(reason) and general:
        reason = general
    return RecipientStatus(action=Action.FAILED, status=find_status(reason), diagnostic=reason, final_recipient=named.address)


def _reason(lines: Sequence[str]) -> str:
    """What the last server said, from its first code on; without one, the first lines."""
    for number, line in enumerate(lines):
        match = _CODE.search(line)
        if match:
            return one_line(" ".join([line[match.start() :], *lines[number + 1 : number + 3]]))[:MAX_TEXT]
    return one_line(" ".join(lines[:3]))[:MAX_TEXT]
