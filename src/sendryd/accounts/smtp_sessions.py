"""Sessions at the SMTP door of this process: those that are open, the latest that have ended, and sums by key and hour. In memory alone.

Limits: `MAX_KNOWN` ended sessions of keys, `MAX_STRANGERS` others, sums of `HOURS` hours. No password and no content comes here.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from sendryd.model.apikey import ApiKey
from sendryd.model.ids import API_KEY_PREFIX, AccountId, ApiKeyId, format_id
from sendryd.policy.credentials import without_keys
from sendryd.policy.refusal import Refusal
from sendryd.runtime.clock import Clock
from sendryd.runtime.stream import TlsInfo
from sendryd.smtp.reply import Reply

MAX_KNOWN: Final = 10_000  # about 5 MB
MAX_STRANGERS: Final = 1_000  # a scanner may not push out anything else
HOURS: Final = 24
_HOUR: Final = 3_600_000  # milliseconds
MAX_NAME: Final = 320  # characters
MAX_REPLY: Final = 500  # characters


@dataclass(slots=True)
class SmtpSession:
    """One session. It changes until it has ended."""

    number: int
    address: str  # of the client
    began_at: datetime
    helo: str = ""  # the name that the client gave
    tls: str = ""  # version and cipher; empty in clear text
    account_id: AccountId | None = None
    api_key_id: ApiKeyId | None = None  # None: no key has logged in
    mails: int = 0  # accepted
    recipients: int = 0  # of these
    refusals: int = 0
    last_refusal: str = ""  # as the client got it
    ended_at: datetime | None = None
    order: int = 0  # grows with the end of sessions

    def matches(self, text: str) -> bool:
        """The text, in lower case, is in what the client is known by."""
        key = format_id(API_KEY_PREFIX, self.api_key_id) if self.api_key_id is not None else ""
        return text in f"{self.address} {self.helo} {key} {self.last_refusal}".lower()


@dataclass(slots=True)
class SmtpSums:
    """What a key has done."""

    sessions: int = 0
    mails: int = 0
    recipients: int = 0
    refusals: int = 0


class SmtpSessions:
    """Kept by the listeners, read by the dashboard."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.is_listening = False  # this process has listeners
        self._number = 0
        self._order = 0
        self._open: dict[int, SmtpSession] = {}
        self._known: deque[SmtpSession] = deque(maxlen=MAX_KNOWN)
        self._strangers: deque[SmtpSession] = deque(maxlen=MAX_STRANGERS)
        self._sums: OrderedDict[int, dict[tuple[AccountId, ApiKeyId], SmtpSums]] = OrderedDict()  # by hours since 1970

    # What the listeners note.

    def begin(self, address: str) -> SmtpSession:
        """A client has connected."""
        self._number += 1
        session = self._open[self._number] = SmtpSession(self._number, address, self._clock.now())
        return session

    def note_hello(self, session: SmtpSession, name: str, tls: TlsInfo | None) -> None:
        """The client has named itself."""
        session.helo = without_keys(name[:MAX_NAME])
        session.tls = f"{tls.version}, {tls.cipher}" if tls else ""

    def note_login(self, session: SmtpSession, key: ApiKey | None) -> None:
        """A key has logged in; None: it was revoked meanwhile."""
        if key is None:
            return
        session.account_id, session.api_key_id = key.account_id, key.id
        if (sums := self._sums_of(session)) is not None:
            sums.sessions += 1

    def note_mail(self, session: SmtpSession, recipients: int) -> None:
        """A message was accepted."""
        session.mails += 1
        session.recipients += recipients
        if (sums := self._sums_of(session)) is not None:
            sums.mails += 1
            sums.recipients += recipients

    def note_refusal(self, session: SmtpSession, refusal: Refusal | Reply) -> None:
        """A command or a message was refused."""
        session.refusals += 1
        reply = refusal.smtp if isinstance(refusal, Refusal) else refusal
        session.last_refusal = without_keys(str(reply)[:MAX_REPLY])
        if (sums := self._sums_of(session)) is not None:
            sums.refusals += 1

    def end(self, session: SmtpSession) -> None:
        """The session is over. One in which nothing was said is forgotten."""
        self._open.pop(session.number, None)
        self._order += 1
        session.ended_at, session.order = self._clock.now(), self._order
        if session.api_key_id is not None:
            self._known.append(session)
        elif session.helo:
            self._strangers.append(session)

    # What the dashboard reads.

    def list_sessions(self, account_id: AccountId | None, *, text: str = "", limit: int) -> list[SmtpSession]:
        """Sessions of an account's keys, or all of them: open ones first, then the latest that have ended. `text` is looked for in what the
        client is known by.
        """
        found = (each for each in self._walk() if account_id is None or each.account_id == account_id)
        return list(islice((each for each in found if not text or each.matches(text.lower())), limit))

    def sums(self, account_id: AccountId | None) -> list[tuple[ApiKeyId, SmtpSums]]:
        """What each key has done in the last `HOURS` hours, the busiest first."""
        total: dict[ApiKeyId, SmtpSums] = {}
        this_hour = self._this_hour()
        for hour, by_key in self._sums.items():
            if this_hour - hour >= HOURS:
                continue
            for (owner, key), each in by_key.items():
                if account_id is None or owner == account_id:
                    sums = total.setdefault(key, SmtpSums())
                    sums.sessions += each.sessions
                    sums.mails += each.mails
                    sums.recipients += each.recipients
                    sums.refusals += each.refusals
        return sorted(total.items(), key=lambda item: (-item[1].mails, item[0]))

    def _walk(self) -> Iterator[SmtpSession]:
        yield from reversed(self._open.values())
        yield from heapq.merge(reversed(self._known), reversed(self._strangers), key=lambda session: session.order, reverse=True)

    def _sums_of(self, session: SmtpSession) -> SmtpSums | None:
        if session.account_id is None or session.api_key_id is None:
            return None
        hour = self._this_hour()
        by_key = self._sums.get(hour)
        if by_key is None:
            by_key = self._sums[hour] = {}
            while len(self._sums) > HOURS:
                self._sums.popitem(last=False)
        owner = session.account_id, session.api_key_id
        sums = by_key.get(owner)
        if sums is None:
            sums = by_key[owner] = SmtpSums()
        return sums

    def _this_hour(self) -> int:
        return self._clock.unix_ms() // _HOUR
