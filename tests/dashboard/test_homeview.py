"""Home's figures, chart and lists."""

from datetime import timedelta

from sendryd.dashboard.homeview import CAUSES, age_of, figures, hour_view, wait_rows, within
from sendryd.model.figures import LATENCY_BUCKETS, MinuteFigures
from sendryd.policy.attention import Destination, Rates
from sendryd.policy.explain import Explanation, Tone
from sendryd.policy.replies.verdict import Category
from sendryd.testing.samples import NOW

MINUTE = timedelta(minutes=1)
THIS = NOW.replace(second=0, microsecond=0)


def latency(**at: int) -> tuple[int, ...]:
    numbers = [0] * len(LATENCY_BUCKETS)
    for place, number in at.items():
        numbers[int(place[1:])] = number
    return tuple(numbers)


def destination(name: str, age: timedelta, tone: Tone, sentence: str, *, queued: int = 1, leased: int = 0, held: int = 0) -> Destination:
    return Destination(domain=name, since=NOW - age, explanation=Explanation(tone, sentence), queued=queued, leased=leased, held=held)


def test_the_six_figures() -> None:
    minutes = [MinuteFigures(minute=THIS, delivered=400, latency=latency(_1=390, _3=10))]
    stuck = destination("corp.example", 14 * MINUTE, Tone.SLOW, "corp.example does not answer.", queued=3, leased=2)
    rates = Rates(sent=10_000, delivered=9_900, bounced=84, complained=3)
    found = {each.name: each for each in figures([stuck], minutes, rates, NOW, waiting=1318, sending=2)}
    assert [(each.text, each.unit, each.note) for each in found.values()] == [
        ("1,318", "", "oldest 14 min"),
        ("2", "", "to 1 destination"),
        ("400", "", "0.1 a second"),
        ("0.8", "s", "median; 95 % within 1.0 s"),
        ("0.84", "%", "stay under 2 %"),
        ("0.03", "%", "Gmail, Yahoo: 0.1 and 0.3 %"),
    ]
    assert [each.tone for each in found.values() if each.gauge] == ["ok", "ok"]


def test_figures_without_mail_claim_nothing() -> None:
    found = figures([], [], Rates(), NOW, waiting=0, sending=0)
    assert [each.text for each in found] == ["0", "0", "0", "–", "0.00", "0.00"]
    assert found[3].note == "no mail in the last hour"


def test_rates_over_their_lines_change_the_tone() -> None:
    found = figures([], [], Rates(sent=100, delivered=100, bounced=3, complained=1), NOW, waiting=0, sending=0)
    assert [each.tone for each in found[4:]] == ["slow", "bad"]


def test_the_time_to_deliver_is_estimated_within_its_bucket() -> None:
    assert within([], 0.5) is None
    half = [MinuteFigures(minute=THIS, latency=latency(_0=10)), MinuteFigures(minute=THIS, latency=latency(_2=10))]
    assert within(half, 0.25) == 0.25
    assert within(half, 0.75) == 1.5
    assert within([MinuteFigures(minute=THIS, latency=latency(_11=1))], 0.95) == 14_400


def test_the_hour_has_a_bar_for_each_minute_and_half_as_many_on_a_phone() -> None:
    minutes = [MinuteFigures(minute=THIS - back * MINUTE, delivered=5, deferred=1) for back in range(60)]
    view = hour_view(minutes, NOW)
    assert [each.path.count("M") for each in view.wide.bars] == [60, 60, 0]
    assert [each.path.count("M") for each in view.narrow.bars] == [30, 30, 0]
    assert (len(view.lines), view.lines[0].delivered) == (60, 5)
    assert hour_view([], NOW).lines == ()


def test_destinations_that_need_a_reader_come_first_and_are_named_once() -> None:
    rows = wait_rows(
        [
            destination("old.example", 90 * MINUTE, Tone.GO, "In the queue."),
            destination("gmail.com", MINUTE, Tone.SLOW, "Gmail asked us to slow down. Your setup is right."),
            destination("corp.example", 9 * MINUTE, Tone.SLOW, "corp.example does not answer: mx1 was tried.", queued=61, held=4),
            destination("idle.example", MINUTE, Tone.GO, "Being handed over.", queued=0, leased=1),
        ],
        NOW,
    )
    assert [(each.domain, each.waiting, each.oldest, each.why) for each in rows] == [
        ("corp.example", "65", "9 min", "Does not answer"),
        ("gmail.com", "1", "60 s", "Asked us to slow down"),
        ("old.example", "1", "90 min", "In the queue"),
    ]


def test_every_cause_of_a_failure_has_words() -> None:
    assert {each for each in Category if each not in CAUSES} == {Category.DELIVERED, Category.OTHER}


def test_figures_older_than_ten_seconds_say_their_age() -> None:
    assert age_of(NOW - timedelta(seconds=9), NOW).text == ""
    assert age_of(NOW - timedelta(seconds=45), NOW).text == "45 s old"
    assert age_of(None, NOW).text == ""
