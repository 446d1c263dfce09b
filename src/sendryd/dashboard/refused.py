"""Refusals at the SMTP door that a search names: mail that somebody looks for and that was never accepted."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from sendryd.dashboard.query import Query
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.ids import AccountId
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.policy.explain import RefusedAtDoor, explain_refused
from sendryd.policy.refusal import RefusalKey
from sendryd.policy.rights import Right

LOOKED_AT: Final = 50  # refusals, the latest
SHOWN: Final = 5  # causes
LATELY: Final = timedelta(hours=1)  # the time that the sentence counts in
_DOMAIN: Final = re.compile(r"\bdomain (\S+) is not verified")
_SEARCHED: Final = frozenset({"", "to", "from"})


@dataclass(frozen=True, slots=True)
class Refused:
    """Refusals for one cause."""

    at: Moment  # of the latest
    sentence: str
    reply: str  # as the client got it; empty: the sentence has it
    href: str
    verify: str  # where to have the domain verified that was refused for it; empty for other causes


def whose(visit: Visit) -> AccountId | None:
    """Whose refusals are shown. Those without a key belong to no account: operators alone see them."""
    return None if visit.me.may(Right.OPERATE) else visit.account_id


async def find_refused(visit: Visit, query: Query, *, is_accepted: bool) -> tuple[Refused, ...]:
    """The causes of refusals that match, the latest first. `is_accepted`: accepted mail matches, too."""
    words = [term.value.lstrip("@").lower() for term in query.terms if not term.is_excluded and term.key in _SEARCHED]
    if not words:
        return ()
    page = await visit.needs.store.page_smtp_refusals(whose(visit), text=max(words, key=len), limit=LOOKED_AT)
    matching = [each for each in page.items if all(word in _text(each) for word in words)]
    latest: dict[tuple[str, str], SmtpRefusal] = {}
    for each in matching:
        latest.setdefault(_cause(each), each)
    since = visit.needs.clock.now() - LATELY
    times = Counter(_cause(each) for each in matching if each.created_at >= since)
    href = f"/log/smtp?{urlencode({'q': max(words, key=len)})}"
    return tuple(_refused(each, times[cause], href, is_accepted=is_accepted) for cause, each in list(latest.items())[:SHOWN])


def _refused(refusal: SmtpRefusal, times: int, href: str, *, is_accepted: bool) -> Refused:
    sentence = _sentence(refusal, times, is_accepted=is_accepted)
    is_unverified = refusal.cause == RefusalKey.DOMAIN_NOT_VERIFIED.value
    return Refused(
        moment_of(refusal.created_at),
        sentence,
        "" if refusal.reply in sentence else refusal.reply,
        href,
        f"/domains?{urlencode({'name': domain_of(refusal)})}" if is_unverified else "",
    )


def domain_of(refusal: SmtpRefusal) -> str:
    """The domain that a refused message was from: that of the header, which the reply names, may differ from the envelope's."""
    named = _DOMAIN.search(refusal.reply)
    return named[1] if named else refusal.sender.rpartition("@")[2]


def _cause(refusal: SmtpRefusal) -> tuple[str, str]:
    return refusal.reply, refusal.sender.rpartition("@")[2].lower()


def _text(refusal: SmtpRefusal) -> str:
    return " ".join((refusal.sender, *refusal.recipients, refusal.address)).lower()


def _sentence(refusal: SmtpRefusal, times: int, *, is_accepted: bool) -> str:
    if is_accepted or not times:
        return f"Refused: {refusal.reply}"
    key = RefusalKey(refusal.cause) if refusal.cause in set(RefusalKey) else RefusalKey.BAD_REQUEST
    return explain_refused(RefusedAtDoor(times=times, key=key, sender_domain=domain_of(refusal), reply=refusal.reply)).text
