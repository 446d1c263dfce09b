"""Scheduled mail by the real program: when it goes, and that of whoever cancels or changes it at the last moment exactly one wins."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sendryd.runtime.clock import SystemClock
from sendryd.testing.clients import RestClient
from sendryd.testing.http import Answer
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"a@{SENDING_DOMAIN}"
ATTEMPTS = 4  # to schedule all before the first is due; each has twice the time of the one before
CANCELLED = 50  # of twice as many
CHANGED = 40
CALLERS = 8  # threads that cancel at the same time
NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")


def now() -> datetime:
    return SystemClock().now()


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def pause_until(moment: datetime) -> None:
    """The moment is what is asked for: a race with the clock needs it."""
    threading.Event().wait(max(0.0, (moment - now()).total_seconds()))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of its own: races want a server that nobody else keeps busy."""
    with World(tmp_path_factory.mktemp("scheduling")) as made:
        yield made


@pytest.fixture
def rest(quick: World) -> RestClient:
    return RestClient(quick.relay, quick.live_key)


def schedule(rest: RestClient, subject: str, when: str) -> str:
    body = {"from": AUTHOR, "to": "user@example.org", "subject": subject, "text": subject, "scheduled_at": when}
    sent = rest.post("/v1/emails", body)
    assert sent["status"] == "queued"
    return str(sent["id"])


class Race:
    """Messages that become due one after another, and something that is done to each at about the moment when it is sent.

    Of the first that are meddled with, all come too early to fail, and of the last all too late to succeed; in between it is a race.
    """

    def __init__(self, world: World, rest: RestClient, subject: str, count: int) -> None:
        self.world = world
        self.count = count
        self.subject, self.start = subject, now()
        lead = timedelta(seconds=1 + count / 60)  # scheduling takes so long on a machine that does other things
        for attempt in range(ATTEMPTS):
            self.subject = f"{subject} {attempt}"
            self.start = now() + lead * 2**attempt
            with ThreadPoolExecutor(CALLERS) as pool:
                self.ids = list(pool.map(lambda number: schedule(rest, f"{self.subject} {number}", iso(self.due(number))), range(count)))
            if now() < self.start:
                return
        raise AssertionError(f"scheduling {count} messages takes longer than {lead * 2 ** (ATTEMPTS - 1)}")

    def due(self, number: int) -> datetime:
        return self.start + timedelta(milliseconds=20 * number)

    def run(self, numbers: range, meddle: Callable[[int, str], Answer]) -> dict[int, int]:
        """Gives the status that each was answered with."""
        fuzziness = 60  # milliseconds around the moment when a message is due

        def work(number: int) -> int:
            place = (number - numbers.start) / len(numbers)
            if 0.05 <= place < 0.95:
                pause_until(self.due(number) + timedelta(milliseconds=(number * 37) % (2 * fuzziness) - fuzziness))
            elif place >= 0.95:
                self.world.wait_until(lambda: self.arrivals()[f"{self.subject} {number}"] > 0)
            answer = meddle(number, self.ids[number])
            assert answer.status in {200, 409}, answer.body
            return answer.status

        with ThreadPoolExecutor(CALLERS) as pool:
            statuses = dict(zip(numbers, pool.map(work, numbers), strict=True))
        assert set(statuses.values()) == {200, 409}
        return statuses

    def arrivals(self) -> Counter[str]:
        lines = (line for mail in list(self.world.mailhost.mails) for line in mail.content.split(b"\r\n\r\n")[0].split(b"\r\n"))
        return Counter(line.decode().removeprefix("Subject: ") for line in lines if line.startswith(b"Subject: "))

    def wait_until_settled(self, rest: RestClient) -> None:
        for email_id in self.ids:
            self.world.relay.wait_for_status(email_id, {"delivered", "cancelled"}, key=rest.key)


def test_every_other_one_is_cancelled_at_the_last_moment(quick: World, rest: RestClient) -> None:
    race = Race(quick, rest, "cancelling", 2 * CANCELLED)
    statuses = race.run(range(0, 2 * CANCELLED, 2), lambda _number, email_id: rest.request("POST", f"/v1/emails/{email_id}/cancel"))
    race.wait_until_settled(rest)
    arrived = race.arrivals()
    for number, email_id in enumerate(race.ids):
        is_cancelled = statuses.get(number) == 200
        events = rest.events(email_id)
        assert events == (["queued", "cancelled"] if is_cancelled else ["queued", "sent", "delivered"])
        assert rest.get(f"/v1/emails/{email_id}")["status"] == ("cancelled" if is_cancelled else "delivered")
        assert arrived[f"{race.subject} {number}"] == (0 if is_cancelled else 1)


def test_changes_that_race_with_the_sending(quick: World, rest: RestClient) -> None:
    race = Race(quick, rest, "changing", CHANGED)

    def change(number: int, email_id: str) -> Answer:
        return rest.request("PATCH", f"/v1/emails/{email_id}", {"subject": f"changed {number}", "text": f"changed {number}"})

    statuses = race.run(range(CHANGED), change)
    race.wait_until_settled(rest)
    arrived = race.arrivals()
    for number, email_id in enumerate(race.ids):
        is_changed = statuses[number] == 200
        subject = f"changed {number}" if is_changed else f"{race.subject} {number}"
        assert arrived[f"changed {number}"] == (1 if is_changed else 0)
        assert arrived[f"{race.subject} {number}"] == (0 if is_changed else 1)
        mail = quick.received(email_id)
        assert mail.content.endswith(f"\r\n{subject}\r\n".encode())
        quick.check_signature(mail.content)
        assert rest.get(f"/v1/emails/{email_id}")["subject"] == subject


def test_postponing_that_races_with_the_sending(quick: World, rest: RestClient) -> None:
    race = Race(quick, rest, "postponing", CHANGED)
    later = iso(now() + timedelta(days=9))
    statuses = race.run(range(CHANGED), lambda _number, email_id: rest.request("PATCH", f"/v1/emails/{email_id}", {"scheduled_at": later}))
    for number, email_id in enumerate(race.ids):
        if statuses[number] == 409:
            quick.relay.wait_for_status(email_id, {"delivered"}, key=quick.live_key)
        else:
            found = rest.get(f"/v1/emails/{email_id}")
            assert (found["status"], rest.events(email_id)) == ("queued", ["queued"])
            assert rest.post(f"/v1/emails/{email_id}/cancel")["status"] == "cancelled"
        assert race.arrivals()[f"{race.subject} {number}"] == (1 if statuses[number] == 409 else 0)


def test_it_goes_when_it_is_due_and_not_before(quick: World, rest: RestClient) -> None:
    due = now() + timedelta(seconds=2)
    offset = due.astimezone(BERLIN).isoformat()
    schedule(rest, "punctual", offset)
    words = schedule(rest, "in words", "in 2 seconds")
    assert rest.get(f"/v1/emails/{words}")["status"] == "queued"
    mail = quick.wait_for_mail("punctual")
    assert due <= now() < due + timedelta(seconds=5)
    quick.check_signature(mail.content)
    quick.wait_for_mail("in words")


def clock_time(zone: ZoneInfo, days: int, hour: int, minute: int = 0) -> datetime:
    day = now().astimezone(zone).date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)


def next_weekday(zone: ZoneInfo, weekday: int, hour: int, minute: int = 0) -> datetime:
    ahead = (weekday - now().astimezone(zone).weekday()) % 7
    moment = clock_time(zone, ahead, hour, minute)
    return moment if moment > now() else clock_time(zone, ahead + 7, hour, minute)


UTC_ZONE = ZoneInfo("UTC")
PHRASES: list[tuple[str, Callable[[], datetime]]] = [
    ("in 2 hours", lambda: now() + timedelta(hours=2)),
    ("in 90 minutes", lambda: now() + timedelta(minutes=90)),
    ("in 30 days", lambda: now() + timedelta(days=30)),
    ("tomorrow morning", lambda: clock_time(UTC_ZONE, 1, 9)),
    ("tomorrow at 14:30 Europe/Berlin", lambda: clock_time(BERLIN, 1, 14, 30)),
    ("Friday at 9am EST", lambda: next_weekday(ZoneInfo("Etc/GMT+5"), 4, 9)),
    ("Friday at 3pm ET", lambda: next_weekday(NEW_YORK, 4, 15)),
    ("monday at 12:15am America/New_York", lambda: next_weekday(NEW_YORK, 0, 0, 15)),
]


@pytest.mark.parametrize(("phrase", "meant"), PHRASES, ids=[phrase for phrase, _ in PHRASES])
def test_the_phrases_of_the_contract(quick: World, rest: RestClient, phrase: str, meant: Callable[[], datetime]) -> None:
    email_id = schedule(rest, "phrase", phrase)
    scheduled = datetime.fromisoformat(rest.get(f"/v1/emails/{email_id}")["scheduled_at"])
    assert abs(scheduled - meant()) < timedelta(seconds=10)
    rest.post(f"/v1/emails/{email_id}/cancel")


@pytest.mark.parametrize("style", ["Z", "+09:00", "-03:30", "+0530", "space", "local"])
def test_iso_8601_with_and_without_offset(quick: World, rest: RestClient, style: str) -> None:
    moment = (now() + timedelta(days=3)).replace(microsecond=0)
    if style == "Z":
        text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    elif style == "space":
        text = moment.strftime("%Y-%m-%d %H:%M:%S+00:00")
    elif style == "local":
        text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    else:
        sign = -1 if style.startswith("-") else 1
        digits = style[1:].replace(":", "")
        text = (moment + sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))).strftime("%Y-%m-%dT%H:%M:%S") + style
    email_id = schedule(rest, "iso", text)
    assert datetime.fromisoformat(rest.get(f"/v1/emails/{email_id}")["scheduled_at"]) == moment.astimezone(UTC)
    changed = rest.request("PATCH", f"/v1/emails/{email_id}", {"scheduled_at": "in 5 days"})
    assert changed.status == 200
    assert datetime.fromisoformat(changed.json["scheduled_at"]) > moment + timedelta(days=1)
    rest.post(f"/v1/emails/{email_id}/cancel")


BAD: list[Callable[[], Any]] = [
    lambda: "whenever",
    lambda: "tomorrow at 25:00",
    lambda: "2026-02-30T10:00:00Z",
    lambda: iso(now() - timedelta(hours=1)),
    lambda: "2020-01-01",
    lambda: iso(now() + timedelta(days=30, minutes=5)),
    lambda: "in 31 days",
    lambda: "tomorrow at 9am Europe/Atlantis",
    lambda: "tomorrow\r\nat 9am",
    lambda: "in 2 hours" * 100,
    lambda: 1764547200,
    lambda: {"at": "tomorrow"},
]


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_good_time_is_named_at_every_door(quick: World, rest: RestClient, bad: Callable[[], Any]) -> None:
    value = bad()
    body = {"from": AUTHOR, "to": "user@example.org", "subject": "no good time", "text": "t", "scheduled_at": value}
    if value == "tomorrow\r\nat 9am":  # white space between words is white space, and nothing of it goes into a header
        assert rest.post(f"/v1/emails/{rest.post('/v1/emails', body)['id']}/cancel")["status"] == "cancelled"
        return
    total = rest.get("/v1/emails?include_total=true&limit=1")["total"]
    marketing = {**body, "unsubscribe_url": "https://example.test/off"}
    waiting = schedule(rest, "waits", "in 3 days")
    for method, path, asked in (
        ("POST", "/v1/emails", body),
        ("POST", "/v1/emails/marketing", marketing),
        ("PATCH", f"/v1/emails/{waiting}", {"scheduled_at": value}),
    ):
        answer = rest.request(method, path, asked)
        assert (answer.status, answer.json["error"]["code"], answer.field) == (422, "validation_error", "scheduled_at")
    rest.post(f"/v1/emails/{waiting}/cancel")
    assert rest.get("/v1/emails?include_total=true&limit=1")["total"] == total + 1
