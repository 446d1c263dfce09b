"""People are told once when something begins to need them, and once when it is over."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sendryd.model.account import AlertScope
from sendryd.model.attention import Alert
from sendryd.model.ids import AccountId
from sendryd.policy.alerts import QUIET, SETTLED, News, find_news
from sendryd.policy.attention import Kind, Thing
from sendryd.policy.explain import Tone
from sendryd.testing.samples import NOW

MINUTE = timedelta(minutes=1)


def thing(about: str, kind: Kind = Kind.DOMAIN, tone: Tone = Tone.BAD) -> Thing:
    return Thing(kind=kind, about=about, tone=tone, title=f"{about} is broken", why="Mend it.", link="/x", button="Show")


class Story:
    """Rounds one after the other, as the keeper makes them."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, datetime], Alert] = {}

    def round(
        self, minutes: float, *things: Thing, silenced: Collection[str] = (), scope: AlertScope = AlertScope.EVERYTHING
    ) -> tuple[list[str], list[str]]:
        now = NOW + minutes * MINUTE
        news: News = find_news(self.known.values(), things, AccountId(1), now, silenced=silenced, scope=scope)
        self.known.update({(each.name, each.began_at): each for each in news.changed})
        return [each.about for each in news.begun], _names(news.ended)


def _names(ended: Sequence[Alert]) -> list[str]:
    return [each.name.partition(":")[2] for each in ended]


def test_a_thing_is_told_once_when_it_has_lasted_and_once_when_it_is_over() -> None:
    story = Story()
    assert SETTLED < MINUTE < QUIET
    assert story.round(0, thing("a")) == ([], [])
    assert story.round(1, thing("a")) == (["a"], [])
    assert story.round(200, thing("a")) == ([], [])
    assert story.round(201) == ([], ["a"])
    assert story.round(400) == ([], [])


def test_what_is_mended_at_once_is_not_told() -> None:
    story = Story()
    assert story.round(0, thing("a")) == ([], [])
    assert story.round(0.2) == ([], [])
    assert story.round(100) == ([], [])


def test_one_kind_is_told_once_an_hour() -> None:
    story = Story()
    story.round(0, thing("a"))
    assert story.round(1, thing("a"), thing("b"), thing("k", Kind.KEY)) == (["a"], [])
    assert story.round(3, thing("a"), thing("b"), thing("k", Kind.KEY)) == (["k"], [])
    assert story.round(30, thing("b"), thing("k", Kind.KEY)) == ([], [])
    begun, ended = story.round(61, thing("b"), thing("k", Kind.KEY))
    assert (begun, ended) == (["b"], ["a"])


def test_what_comes_and_goes_is_one_thing() -> None:
    story = Story()
    told = [story.round(minute, *([thing("a")] if minute % 2 else [])) for minute in range(181)]
    assert sum(news != ([], []) for news in told) <= 3


def test_silenced_things_are_not_told_and_go_on() -> None:
    story = Story()
    story.round(0, thing("a"), silenced={"domain:a"})
    assert story.round(90, thing("a"), silenced={"domain:a"}) == ([], [])
    assert story.round(91, thing("a")) == (["a"], [])


def test_only_what_is_wrong_if_people_want_no_more() -> None:
    story = Story()
    slow, bad = thing("a", tone=Tone.SLOW), thing("b")
    story.round(0, slow, bad)
    assert story.round(1, slow, bad, scope=AlertScope.WRONG) == (["b"], [])
