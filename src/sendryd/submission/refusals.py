"""The log of the SMTP door: refusals are gathered in memory and stored once a second, so that no session waits for it. A crash may lose the last of
them; mail it never is.
"""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Final

from sendryd.model.apikey import ApiKey
from sendryd.model.ids import SmtpRefusalId
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.policy.credentials import without_keys
from sendryd.policy.refusal import Refusal
from sendryd.policy.refusal_sample import RefusalSample
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.smtp.events import MailFrom
from sendryd.smtp.reply import Reply
from sendryd.store.base import RefusalStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 1.0  # seconds: a person who looks at the log after a refusal finds it there
PRUNE_INTERVAL: Final = 3600.0  # seconds between deletions while no refusal comes
MAX_WAITING: Final = 1000  # refusals in memory; more in a second are left out
KEPT: Final = timedelta(days=7)
MAX_STORED: Final = 10_000  # some megabytes, which a search passes in milliseconds
MAX_RECIPIENTS: Final = 10  # of one refusal
MAX_TEXT: Final = 320  # characters of a name or an address: the longest address
MAX_REPLY: Final = 500  # characters
_AFTER_MAIL: Final = frozenset({"RCPT", "DATA", "BDAT"})
_PATH: Final = re.compile(r"<([^<>\s]{1,320})>")

CONTENT: Final = "content"  # the step after DATA
CONNECTION: Final = "connection"  # the step before all others

log = get_logger("submission")


@dataclass(frozen=True, slots=True)
class Client:
    """Who is refused."""

    address: str
    helo: str  # empty before EHLO
    is_encrypted: bool
    key: ApiKey | None


class RefusalBook:
    """Refusals of sessions that are to be stored. `add` never waits."""

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        self._clock = clock
        self._ids = ids
        self._sample = RefusalSample()
        self._waiting: list[SmtpRefusal] = []
        self._more: Counter[SmtpRefusalId] = Counter()

    def add(self, refusal: Refusal | Reply, step: str, client: Client, envelope: tuple[str, Iterable[str]]) -> None:
        """Notes a refused command or message, or counts it if the address has many. `envelope` is the sender with the recipients."""
        if step in _AFTER_MAIL and not envelope[0] and self._join(client, envelope[1]):
            return
        number, key = SmtpRefusalId(self._ids.next()), client.key
        counted = self._sample.note(client.address, number, self._clock.monotonic())
        if counted is not None:
            self._more[SmtpRefusalId(counted)] += 1
            return
        if len(self._waiting) >= MAX_WAITING:
            return
        sender, recipients = envelope
        reply = refusal.smtp if isinstance(refusal, Refusal) else refusal
        self._waiting.append(
            SmtpRefusal(
                id=number,
                account_id=key.account_id if key else None,
                api_key_id=key.id if key else None,
                address=client.address,
                helo=_shown(client.helo),
                is_encrypted=client.is_encrypted,
                step=step,
                cause=refusal.key.value if isinstance(refusal, Refusal) else "",
                reply=without_keys(str(reply)[:MAX_REPLY]),
                sender=_shown(sender),
                recipients=_shortened(recipients),
                created_at=self._clock.now(),
            )
        )

    def _join(self, client: Client, recipients: Iterable[str]) -> bool:
        """Adds what a client pipelined after a refused MAIL to that refusal: RCPT is refused for that reason alone."""
        last = self._waiting[-1] if self._waiting else None
        if last is None or last.step != "MAIL" or (last.address, last.helo) != (client.address, _shown(client.helo)):
            return False
        self._waiting[-1] = replace(last, recipients=(*last.recipients, *_shortened(recipients))[:MAX_RECIPIENTS])
        return True

    def take(self) -> tuple[list[SmtpRefusal], Counter[SmtpRefusalId]]:
        """What was noted since the last time, and how many more were counted with each stored refusal."""
        taken = self._waiting, self._more
        self._waiting, self._more = [], Counter()
        return taken


def envelope(mail: MailFrom | None, recipients: Iterable[str], step: str, named: str) -> tuple[str, Iterable[str]]:
    """Sender and recipients of a refused transaction. `named` is the address in a refused command; without `mail` there is no transaction."""
    if step == "MAIL":
        return named, ()
    sender = str(mail.path.mailbox or "") if mail else ""
    return sender, [*(recipients if mail else ()), *([named] if named and step == "RCPT" else ())]


def _shown(text: str) -> str:
    """A client's text as it is stored: keys that were sent in the wrong place are stars."""
    return without_keys(text[:MAX_TEXT])


def _shortened(recipients: Iterable[str]) -> tuple[str, ...]:
    return tuple(_shown(each) for each in islice(recipients, MAX_RECIPIENTS))


def path_in(line: str) -> str:
    """The address between angle brackets in a refused command; empty if there is none."""
    found = _PATH.search(line)
    return found[1] if found else ""


class RefusalWriter:
    """Stores what the book has."""

    def __init__(self, book: RefusalBook, store: RefusalStore, clock: Clock) -> None:
        self._book = book
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        pruned = self._clock.monotonic()
        while True:
            await self._clock.sleep(INTERVAL)
            try:
                await self.flush()
                if self._clock.monotonic() - pruned >= PRUNE_INTERVAL:
                    pruned = self._clock.monotonic()
                    await self.prune()
            except StoreError as error:
                log.error("refusals_not_stored", error=repr(error))

    async def stop(self) -> None:
        """Stores what is left, if that can be done."""
        with suppress(StoreError):
            await self.flush()

    async def flush(self) -> None:
        """Stores what was noted. Raises `StoreUnavailable`, and then forgets it."""
        refusals, more = self._book.take()
        if refusals or more:
            await self._store.add_smtp_refusals(refusals, more, keep_since=self._clock.settled() - KEPT, most=MAX_STORED)

    async def prune(self) -> None:
        """Deletes old refusals, also where no new one comes. Raises `StoreUnavailable`."""
        await self._store.add_smtp_refusals([], {}, keep_since=self._clock.settled() - KEPT, most=MAX_STORED)
