"""Requests that are sent twice to the real program: at the same time, by both doors, after a restart, after a kill."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.http import Answer
from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"a@{SENDING_DOMAIN}"
TWINS = 20


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose program is stopped and killed; it comes back at the same address, as a service does."""
    with World(tmp_path_factory.mktemp("idempotency"), env={"SENDRYD_RETRY_SCHEDULE": "200ms"}) as made:
        made.relay.env["SENDRYD_HTTP_LISTEN"] = made.relay.ready["http"].rpartition("//")[2]
        yield made


@pytest.fixture
def rest(restless: World) -> RestClient:
    restless.mailhost.script = Script()  # whatever the test before left
    return RestClient(restless.relay, restless.live_key)


def body(subject: str, **fields: Any) -> dict[str, Any]:
    return {"from": AUTHOR, "to": "user@example.org", "subject": subject, "text": "once", **fields}


def post(rest: RestClient, key: str, what: Any, path: str = "/v1/emails") -> Answer:
    return rest.request("POST", path, what, {"Idempotency-Key": key})


def all_at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def count(world: World, subject: str) -> int:
    """Copies that arrived; whatever is accepted before a message with this mark has gone."""
    return sum(f"\r\nSubject: {subject}\r\n".encode() in mail.content for mail in list(world.mailhost.mails))


def stored(rest: RestClient, subject: str) -> int:
    return int(rest.get(f"/v1/emails?q={subject}&include_total=true")["total"])


def check_once(restless: World, rest: RestClient, subject: str) -> None:
    restless.wait_for_mail(subject)
    assert stored(rest, subject) == 1
    (email,) = rest.get(f"/v1/emails?q={subject}")["data"]
    restless.relay.wait_for_status(email["id"], {"delivered"}, key=rest.key)
    assert count(restless, subject) == 1


def check_same(answers: list[Answer]) -> Answer:
    """One was the first and the others repeat it, octet for octet."""
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert len({answer.body for answer in answers}) == 1
    assert Counter(answer.headers.get("idempotent-replayed") for answer in answers) == {None: 1, "true": len(answers) - 1}
    return answers[0]


def test_twenty_twins_send_one_mail(restless: World, rest: RestClient) -> None:
    # A body of some size takes a while to become a message, so that the others come meanwhile, and have to wait for it.
    what = body("twenty-twins", attachments=[{"filename": "large.bin", "content": "QUJD" * 500_000}])
    check_same(all_at_once([lambda: post(rest, "twenty", what)] * TWINS))
    check_once(restless, rest, "twenty-twins")


@pytest.mark.parametrize("path", ["/v1/emails/batch", "/v1/emails/marketing"])
def test_twins_of_other_kinds(restless: World, rest: RestClient, path: str) -> None:
    kind = path.rpartition("/")[2]
    if kind == "batch":
        what = {"from": AUTHOR, "emails": [body(f"twins-{kind}"), {**body("another"), "to": "other@example.org"}]}
    else:
        what = body(f"twins-{kind}", unsubscribe_url="https://example.test/off")
    first = check_same(all_at_once([lambda: post(rest, f"twins-{kind}", what, path)] * TWINS))
    check_once(restless, rest, f"twins-{kind}")
    again = post(rest, f"twins-{kind}", what, path)
    assert (again.status, again.body) == (200, first.body)


def smtp_content(subject: str, key: str, number: int) -> bytes:
    """As a program makes it anew for each try: with another date, Message-ID and boundary."""
    lines = [
        f"From: {AUTHOR}",
        "To: user@example.org",
        f"Subject: {subject}",
        f"Message-ID: <{number}@client.test>",
        f"Date: Sat, 28 Nov 2026 10:00:{number:02} +0000",
        f"X-Sendry-Idempotency-Key: {key}",
        "MIME-Version: 1.0",
        f"Content-Type: multipart/mixed; boundary=b{number}",
    ]
    return "\r\n".join([*lines, "", f"--b{number}", "", "once", f"--b{number}--", ""]).encode()


def test_twins_by_smtp_send_one_mail(restless: World, rest: RestClient) -> None:
    def call(number: int) -> tuple[int, str]:
        return submit(restless.relay, restless.live_key, AUTHOR, ["user@example.org"], smtp_content("twins-by-smtp", "smtp-twins", number))

    replies = all_at_once([lambda number=number: call(number) for number in range(TWINS)])  # type: ignore[misc]  # bound now
    assert len(set(replies)) == 1
    assert replies[0][0] == 250
    check_once(restless, rest, "twins-by-smtp")
    other = submit(restless.relay, restless.live_key, AUTHOR, ["other@example.org"], smtp_content("twins-by-smtp", "smtp-twins", 1))
    assert other[0] == 550
    assert other[1].startswith("5.6.0 ")


def test_twins_by_both_doors_send_one_mail(restless: World, rest: RestClient) -> None:
    """One door wins: it answers all its own alike. The other cannot tell whether it is asked for the same, and says so to all of its own."""

    def by_smtp(number: int) -> int:
        content = smtp_content("both-doors", "both-doors", number)
        return submit(restless.relay, restless.live_key, AUTHOR, ["user@example.org"], content)[0]

    def by_rest(_number: int) -> int:
        return post(rest, "both-doors", body("both-doors")).status

    doors = [by_smtp if number % 2 else by_rest for number in range(TWINS)]
    results = Counter(all_at_once([lambda number=number: doors[number](number) for number in range(TWINS)]))  # type: ignore[misc]  # bound now
    assert results in ({200: TWINS // 2, 550: TWINS // 2}, {250: TWINS // 2, 409: TWINS // 2})
    check_once(restless, rest, "both-doors")


def test_the_same_key_for_something_else_is_a_conflict(restless: World, rest: RestClient) -> None:
    first = post(rest, "conflict", body("conflicting"))
    others: list[tuple[str, Any]] = [
        ("/v1/emails", body("conflicting", text="twice")),
        ("/v1/emails", body("conflicting", to=["user@example.org", "other@example.org"])),
        ("/v1/emails/batch", {"emails": [body("conflicting")]}),
        ("/v1/emails/marketing", body("conflicting", unsubscribe_url="https://example.test/off")),
    ]
    for path, what in others:
        answer = post(rest, "conflict", what, path)
        assert (answer.status, answer.json["error"]["code"]) == (409, "idempotency_conflict")
    test_key = post(RestClient(restless.relay, restless.test_key), "conflict", body("conflicting"))
    assert test_key.status == 409  # a live key's mail must not be taken for sent by a test
    laid_out_otherwise = b'{"text":"once",\n "to": "user@example.org","subject" :"conflict\\u0069ng", "from":"%s"}' % AUTHOR.encode()
    repeat = post(rest, "conflict", laid_out_otherwise)
    assert (repeat.status, repeat.body, repeat.headers["idempotent-replayed"]) == (200, first.body, "true")
    check_once(restless, rest, "conflicting")


def test_what_was_refused_may_be_corrected_under_its_key(restless: World, rest: RestClient) -> None:
    assert post(rest, "corrected", body("correcting", to="nobody")).status == 422
    assert post(rest, "corrected", body("correcting", **{"from": "a@elsewhere.test"})).status == 403
    assert post(rest, "corrected", body("correcting")).status == 200
    check_once(restless, rest, "correcting")


@pytest.mark.parametrize("key", ["", " ", "k" * 257, "späße", "a\tb"])
def test_keys_that_are_none(restless: World, rest: RestClient, key: str) -> None:
    answer = post(rest, key.encode("utf-8").decode("latin-1"), body("keyless"))
    assert (answer.status, answer.field) == (422, "Idempotency-Key")
    assert stored(rest, "keyless") == 0


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_first_answer_is_repeated_by_the_next_process(restless: World, rest: RestClient, end: str) -> None:
    subject = f"next-after-{end}"
    restless.mailhost.script = Script(rcpt=lambda _address: "451 4.3.2 Later")  # so that no 250 can be lost by the kill
    requests = {
        "/v1/emails": body(f"{subject}-single"),
        "/v1/emails/batch": {"emails": [body(f"{subject}-batch")]},
        "/v1/emails/marketing": body(f"{subject}-marketing", unsubscribe_url="https://example.test/off"),
    }
    first = {path: post(rest, f"{subject}{path}", what, path) for path, what in requests.items()}
    if end == "stop":
        assert restless.relay.stop() == 0
    else:
        restless.relay.kill()
    restless.relay.start()
    restless.mailhost.script = Script()
    for path, what in requests.items():
        again = post(rest, f"{subject}{path}", what, path)
        assert (again.status, again.body) == (200, first[path].body)
        assert again.headers["idempotent-replayed"] == "true"
        check_once(restless, rest, what["subject"] if "subject" in what else f"{subject}-batch")


def test_a_client_that_tries_again_across_kills_sends_one_mail_each(restless: World, rest: RestClient) -> None:
    """The client hears nothing, and sends the same again until it is answered; whenever the kill comes, there is one message in the end."""
    restless.mailhost.script = Script(rcpt=lambda _address: "451 4.3.2 Later")
    is_over = threading.Event()
    answers: dict[str, Answer] = {}

    def insist(worker: int) -> None:
        for number in range(1_000_000):
            if is_over.is_set():
                return
            name = f"insisting-{worker}-{number}"
            while name not in answers:
                try:
                    answers[name] = post(rest, name, body(name))
                except OSError:
                    is_over.wait(0.02)  # as a client does before it tries again

    def is_further(than: int) -> bool:
        return len(answers) >= than

    with ThreadPoolExecutor(6) as pool:
        workers = [pool.submit(insist, worker) for worker in range(6)]
        try:
            for _ in range(2):
                wanted = len(answers) + random.randint(5, 40)
                restless.wait_until(lambda wanted=wanted: is_further(wanted))  # type: ignore[misc]  # bound now
                restless.relay.kill()
                restless.relay.start()
            wanted = len(answers) + 20
            restless.wait_until(lambda: is_further(wanted))
        finally:
            is_over.set()
        for worker in workers:
            worker.result()
    restless.mailhost.script = Script()
    assert {answer.status for answer in answers.values()} == {200}
    restless.wait_until(lambda: all(count(restless, name) for name in answers))
    assert rest.get("/v1/emails?q=insisting-&include_total=true&limit=1")["total"] == len(answers)
    for name in answers:
        assert count(restless, name) == 1


def test_a_batch_is_stored_whole_or_not_at_all(restless: World, rest: RestClient) -> None:
    """Killed at any moment: after the next start all hundred are there, or none."""
    restless.mailhost.script = Script(rcpt=lambda _address: "451 4.3.2 Later")
    for attempt in range(2):
        batch = {"emails": [{**body(f"whole-{attempt}"), "to": f"user{number}@example.org"} for number in range(100)]}
        answers: list[Answer] = []

        def send(batch: Any = batch, answers: list[Answer] = answers) -> None:
            try:
                answers.append(rest.request("POST", "/v1/emails/batch", batch))
            except OSError:
                return

        thread = threading.Thread(target=send)
        thread.start()
        threading.Event().wait(0.01 + 0.03 * attempt)  # the moment of the kill
        restless.relay.kill()
        thread.join()
        restless.relay.start()
        found = stored(rest, f"whole-{attempt}")
        assert found in ({100} if answers else {0, 100})
    restless.mailhost.script = Script()
