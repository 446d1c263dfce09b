"""Texts that cost a parser the square of their length: everybody else is served meanwhile, and a stop ends the program with all its children."""

import http.client
import json
import smtplib
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from sendryd.testing.process import RelayProcess
from sendryd.testing.waiting import wait_until
from sendryd.testing.world import SENDING_DOMAIN, World

ATTRIBUTES: Final = "<p " + " ".join(f"a{number}=1" for number in range(60_000)) + ">"  # 500 KiB in one tag
REOPENED: Final = "".join(f"<b id={number}></i>" for number in range(20_000)) + "<p></p>" * 20_000  # each paragraph opens all of them again
DEEP: Final = "<div>" * 100_000
TAGS: Final = "<p>x</p>" * 60_000
ENTITIES: Final = "&NotSucceedsTilde;" * 30_000
HOSTILE: Final = {"attributes": ATTRIBUTES, "reopened": REOPENED, "deep": DEEP, "tags": TAGS, "entities": ENTITIES}
# Seconds that the program works until it answers; a parser in the event loop works as long as the helpers are given.
LONGEST_ANSWER: Final = 2.5
PROMISE: Final = 0.25  # seconds for /healthz and for the greeting, whatever a single request holds


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of its own: its program is kept busy, stopped and killed."""
    with World(tmp_path_factory.mktemp("hostile")) as made:
        yield made


@pytest.fixture
def fresh(attacked: World) -> World:
    """The world, whose program was started for this test."""
    if attacked.relay.is_running and children(attacked.relay.process.pid):
        attacked.relay.kill()
    if not attacked.relay.is_running:
        attacked.relay.start()
    return attacked


@pytest.fixture
def running(attacked: World) -> World:
    """The world, whose program may have served others."""
    if not attacked.relay.is_running:
        attacked.relay.start()
    return attacked


def post(relay: RelayProcess, path: str, key: str, body: object) -> tuple[int, dict[str, Any]]:
    host, _, port = relay.ready["http"].rpartition("//")[2].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def children(pid: int) -> list[int]:
    return [int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]


def greeting(relay: RelayProcess) -> float:
    started = relay.worked
    with socket.create_connection(relay.smtp, timeout=60) as client:
        assert client.recv(1000).startswith(b"220 ")
    return relay.worked - started


def healthz(relay: RelayProcess) -> float:
    started = relay.worked
    assert relay.get("/healthz")[0] == 200
    return relay.worked - started


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("name", HOSTILE)
def test_health_and_greeting_come_at_once_while_one_hostile_text_is_read(running: World, name: str) -> None:
    """The promise is 250 ms for each: what the program works until it answers, since a busy test machine makes everything wait."""
    relay, key = running.relay, running.live_key
    answers: list[int] = []
    body = {"html": "{{{ x }}}", "variables": {"x": HOSTILE[name]}}
    thread = in_background(lambda: answers.append(post(relay, "/v1/templates/render", key, body)[0]))
    took = {healthz: [healthz(relay)], greeting: [greeting(relay)]}
    while thread.is_alive():
        for probe, seconds in took.items():
            seconds.append(probe(relay))
    assert set(answers) <= {200, 422}
    for probe, seconds in took.items():
        assert statistics.median(seconds) <= PROMISE, probe.__name__


def test_everybody_is_served_while_hostile_texts_are_read(fresh: World) -> None:
    relay, key = fresh.relay, fresh.live_key
    assert len(children(relay.process.pid)) == 0  # none before it is needed
    _, stored = post(relay, "/v1/templates", key, {"name": "t", "subject": "s", "html": "<div>{{{ x }}}</div>"})
    answers: list[int] = []

    def attack() -> None:
        for value in HOSTILE.values():
            answers.append(post(relay, "/v1/templates/render", key, {"html": "{{{ x }}}", "variables": {"x": value}})[0])
            sending = {
                "from": f"a@{SENDING_DOMAIN}",
                "to": ["user@example.org"],
                "template_id": stored["id"],
                "variables": {"x": value},
            }
            answers.append(post(relay, "/v1/emails", key, sending)[0])

    thread = in_background(attack)
    longest = 0.0
    while thread.is_alive():
        longest = max(longest, healthz(relay), greeting(relay))
        thread.join(0.02)
    assert len(answers) == 2 * len(HOSTILE)
    assert set(answers) <= {200, 422}
    assert longest < LONGEST_ANSWER


@pytest.mark.parametrize("name", ["attributes", "reopened"])
def test_insights_of_hostile_texts_are_answered(running: World, name: str) -> None:
    relay, key = running.relay, running.test_key
    body = {"from": f"a@{SENDING_DOMAIN}", "to": ["user@example.org"], "subject": "s", "html": HOSTILE[name], "text": "t"}
    status, sent = post(relay, "/v1/emails", key, body)
    assert status == 200
    status, answer = relay.get(f"/v1/emails/{sent['id']}/insights", key)
    assert status in {200, 422, 503}  # 503: a busy machine gave the job too little time
    if status == 422:
        assert "make it shorter or simpler" in answer["error"]["message"]


def test_a_stop_ends_the_work_on_hostile_texts_and_its_processes(running: World) -> None:
    relay, key = running.relay, running.live_key
    _, stored = post(relay, "/v1/templates", key, {"name": "t", "subject": "s", "html": "<div>{{{ x }}}</div>"})

    def attack() -> None:
        try:
            for _ in range(20):
                post(relay, f"/v1/templates/{stored['id']}/render", key, {"variables": {"x": REOPENED}})
        except (OSError, http.client.HTTPException, ValueError):  # cut off, perhaps in the middle
            return

    threads = [in_background(attack) for _ in range(4)]
    running.wait_until(lambda: len(children(relay.process.pid)) > 0)
    helpers = children(relay.process.pid)
    started = time.monotonic()
    assert relay.stop() == 0
    assert time.monotonic() - started < 30  # the HTTP door gives answers under way 5 seconds
    for thread in threads:
        thread.join(20)
    assert [pid for pid in helpers if Path(f"/proc/{pid}").exists()] == []


def test_a_crash_of_the_program_leaves_no_process_behind(running: World) -> None:
    relay, key = running.relay, running.live_key
    post(relay, "/v1/templates/render", key, {"html": "{{{ x }}}", "variables": {"x": ATTRIBUTES}})
    helpers = children(relay.process.pid)
    assert helpers
    relay.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in helpers))
    assert [pid for pid in helpers if Path(f"/proc/{pid}").exists()] == []
    relay.start()


def test_a_template_over_smtp_that_costs_too_much_is_refused_and_not_put_off(running: World) -> None:
    relay = running.relay
    html = "{% for a in range(9000) %}{% for b in range(9000) %}{{ x|upper }}{% endfor %}{% endfor %}"
    _, stored = post(relay, "/v1/templates", running.live_key, {"name": "t", "subject": "s", "html": html})
    content = (
        f"From: a@{SENDING_DOMAIN}\r\nTo: user@example.org\r\nSubject: s\r\nX-Sendry-Template-Id: {stored['id']}\r\n"
        'X-Sendry-Variables: {"x": "y"}\r\n\r\nbody\r\n'
    )
    with smtplib.SMTP(*relay.smtp, timeout=30) as smtp:
        smtp.starttls()
        smtp.login("sendry", running.live_key)
        smtp.mail(f"a@{SENDING_DOMAIN}")
        smtp.rcpt("user@example.org")
        code, text = smtp.data(content)
    assert code == 550
    assert b"X-Sendry-Variables" in text
