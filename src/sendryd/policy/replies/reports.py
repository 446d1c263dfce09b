"""What a delivery status notification means for the delivery that it is about: a late bounce, or nothing. Pure.

The report's own words are judged as a reply of the receiving server would be (`classify`), with two differences: what a report calls failed is
final, whatever the code's first digit, and no report makes a delivery wait again.
"""

import re
from dataclasses import replace
from typing import Final

from sendryd.message.reports.report import Action, RecipientStatus, Report
from sendryd.policy.address_key import normalise_address
from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.verdict import Category, Kind, Scope, Verdict
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.smtp.timeouts import Step

_CODE: Final = re.compile(r"(?<![\w.@-])([45][0-5][0-9])(?:[ -]|$)")
_ENHANCED: Final = re.compile(r"(?<![\w.])([45])\.([0-9]{1,3})\.([0-9]{1,3})(?![\w.]*\.[0-9])")
_REPEATED: Final = re.compile(r"\s[45][0-5][0-9]-(?:[45]\.[0-9]{1,3}\.[0-9]{1,3} )?")
# The server gave up after trying for a time; RFC 3463 §3.5 calls it 4.4.7.
_EXPIRED: Final = re.compile(
    r"\bexpired\b|too long (?:in|on) (?:the )?queue|in (?:the )?queue too long|retry time(?:out)? (?:not reached|exceeded)|retry timeout|message timeout"
    r"|timed? ?out (?:in|while) queue|delivery (?:time|period) .{0,20}(?:expired|over)|could not be delivered (?:for|within) \d+"
)
_EXPIRED_DETAIL: Final = (4, 7)


def judge_status(report: Report, forward_path: str) -> Verdict | None:
    """The verdict on the delivery to this address; None if the report does not say that it has failed."""
    wanted = normalise_address(forward_path)
    own = [
        each
        for each in report.recipients
        if wanted in {normalise_address(each.original_recipient), normalise_address(each.final_recipient)}
    ]
    judged = own or report.recipients  # those that it was forwarded to, of which none may have got the mail
    if not judged or any(each.action is not Action.FAILED for each in judged):
        return None
    verdict = _judge(judged[0], report.reporting_mta)
    return verdict if own or not report.is_text else replace(verdict, suppresses=False)


def _judge(failed: RecipientStatus, reporting_mta: str) -> Verdict:
    reply = read_reply(failed)
    said = classify(reply, step=Step.RCPT)
    category = said.category
    words = " ".join(reply.lines).lower()
    enhanced = reply.enhanced
    if category is Category.OTHER and (
        _EXPIRED.search(words) or (enhanced is not None and (enhanced.subject, enhanced.detail) == _EXPIRED_DETAIL)
    ):
        category = Category.EXPIRED
    by = f"{reporting_mta} reports" if reporting_mta else "A report says"
    return replace(
        said,
        kind=Kind.BOUNCED,
        scope=Scope.RECIPIENT,
        category=category,
        enhanced=failed.status if failed.status.startswith(("4.", "5.")) else said.enhanced,
        sentence=f"{by} that the mail could not be delivered: {failed.diagnostic or failed.status or 'no reason was given'}",
        suppresses=said.suppresses and reply.is_permanent,
        must_split=False,
        must_ask_alone=False,
        demands_tls=False,
    )


def read_reply(failed: RecipientStatus) -> Reply:
    """The reply that the report quotes, or one made of the status and the words that it has."""
    text = failed.diagnostic
    code = _CODE.search(text)
    inside = _ENHANCED.search(text)
    status = _ENHANCED.match(failed.status)
    given = inside or status
    enhanced = EnhancedStatusCode(int(given[1]), int(given[2]), int(given[3])) if given else None
    if code is not None:
        number = int(code[1])
        text = text[code.end() :]
    else:
        number = 450 if enhanced is not None and enhanced.status_class == 4 else 550
    if inside is not None:
        text = text.replace(inside[0], " ")
    return Reply(number, " ".join(_REPEATED.sub(" ", text).split()), enhanced)
