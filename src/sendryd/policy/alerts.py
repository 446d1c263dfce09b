"""Alerts: which things have begun or ended, and which of that is news. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.account import AlertScope
from sendryd.model.attention import Alert
from sendryd.model.ids import AccountId
from sendryd.policy.attention import Thing
from sendryd.policy.explain import Tone

QUIET: Final = timedelta(hours=1)  # between two alerts of one kind: a fault that comes and goes must not fill a mailbox
SETTLED: Final = timedelta(seconds=30)  # what is over by then was being mended
KEPT: Final = timedelta(days=30)  # of what is over


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """The content of the next alert, and the alerts to store after it."""

    begun: Sequence[Thing]
    ended: Sequence[Alert]
    changed: Sequence[Alert]  # to be stored, also without news

    @property
    def is_empty(self) -> bool:
        """Whether there is no news."""
        return not self.begun and not self.ended


class _Book:
    """Alerts, and which of them have changed."""

    def __init__(self, known: Iterable[Alert]) -> None:
        self._kept = {(each.name, each.began_at): each for each in known}
        self._before = dict(self._kept)

    def put(self, alert: Alert) -> None:
        self._kept[alert.name, alert.began_at] = alert

    @property
    def all(self) -> list[Alert]:
        return list(self._kept.values())

    @property
    def running(self) -> dict[str, Alert]:
        return {each.name: each for each in self._kept.values() if each.ended_at is None}

    @property
    def changed(self) -> list[Alert]:
        return [each for key, each in self._kept.items() if self._before.get(key) != each]


def find_news(
    known: Iterable[Alert], things: Sequence[Thing], account_id: AccountId, now: datetime, *, silenced: Collection[str], scope: AlertScope
) -> News:
    """Compares what is known with what needs somebody now. `silenced`: names of things that are no news."""
    book, present = _Book(known), {each.key: each for each in things}
    for name, alert in book.running.items():
        book.put(replace(alert, sentence=present[name].title) if name in present else replace(alert, ended_at=now))
    for name in present.keys() - book.running.keys():
        thing = present[name]
        book.put(Alert(account_id=account_id, name=name, kind=thing.kind.value, sentence=thing.title, began_at=now))
    _join_interruptions(book)
    begun: list[Thing] = []
    ended: list[Alert] = []
    busy = {each.kind for each in book.all if _was_told_since(each, now - QUIET)}
    for alert in book.all:
        if alert.kind in busy or alert.name in silenced:
            continue
        if alert.ended_at is None and alert.told_at is None:
            thing = present[alert.name]
            if now - alert.began_at >= SETTLED and (scope is AlertScope.EVERYTHING or thing.tone is Tone.BAD):
                begun.append(thing)
                book.put(replace(alert, told_at=now))
        elif alert.ended_at is not None and alert.told_at is not None and alert.end_told_at is None:
            ended.append(alert)
            book.put(replace(alert, end_told_at=now))
    return News(begun=begun, ended=ended, changed=book.changed)


def _join_interruptions(book: _Book) -> None:
    """A thing that begins again before its end was announced is no news."""
    running = book.running
    for alert in book.all:
        again = running.get(alert.name)
        if again is None or again == alert or alert.told_at is None or alert.end_told_at is not None:
            continue
        book.put(replace(alert, end_told_at=alert.told_at))
        book.put(replace(again, told_at=alert.told_at))


def _was_told_since(alert: Alert, moment: datetime) -> bool:
    return any(told is not None and told > moment for told in (alert.told_at, alert.end_told_at))
