"""The database's server restarts, or hangs: clients are put off, nothing that was acknowledged is lost, and the program goes on by itself."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.load import SmtpLoad
from sendryd.testing.postgres import Server, own_server
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

MESSAGES = 150
# What is committed outlives a crash of the server, though not one of the machine.
SETTINGS = {"synchronous_commit": "on"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_server(SETTINGS) as made:
        yield made


@contextmanager
def world_on(server: Server, directory: Path) -> Iterator[World]:
    name = server.new_database()
    with World(directory, env={"SENDRYD_DATABASE_URL": server.url(name)}) as world:
        yield world
    server.drop_database(name)


def mail(subject: str) -> dict[str, object]:
    return {"from": f"a@{SENDING_DOMAIN}", "to": ["ann@example.org"], "subject": subject, "text": "t"}


def send(rest: RestClient, subject: str) -> int:
    return rest.request("POST", "/v1/emails", mail(subject)).status


def test_no_mail_is_lost_when_the_server_crashes_and_comes_back(server: Server, tmp_path: Path) -> None:
    with world_on(server, tmp_path) as world:
        load, rest = SmtpLoad(world, MESSAGES, interval=0.05), RestClient(world.relay, world.live_key)
        load.start()
        world.wait_until(lambda: len(load.acknowledged) >= MESSAGES // 5)
        server.stop()
        assert rest.request("GET", "/healthz").status == 200
        assert send(rest, "away") == 503
        assert rest.request("GET", "/v1/emails").status == 503
        world.wait_until(lambda: rest.request("GET", "/readyz").status == 503)
        world.wait_until(lambda: 454 in load.refused)
        server.start(server.port)
        load.join()
        world.wait_until(lambda: rest.request("GET", "/readyz").status == 200)
        world.wait_until(lambda: set(load.acknowledged) <= set(load.delivered()))
        world.wait_until(lambda: "database_back" in world.relay.log_tail(100_000))  # once nothing has failed for a while
        lines = [json.loads(line) for line in world.relay.log_path.read_text().splitlines() if line.startswith("{")]
        told = [line["event"] for line in lines if line.get("part") == "database"]
        assert (told[0], told[-1], set(told[1:-1]) - {"database_still_away"}) == ("database_away", "database_back", set())
        begun, ended = (next(i for i, line in enumerate(lines) if line["event"] == event) for event in ("database_away", "database_back"))
        assert not [line for line in lines[begun:ended] if "StoreUnavailable" in str(line)]
        assert 535 not in load.refused, "a key that cannot be looked up is not called wrong"
        world.wait_until(lambda: rest.get("/v1/emails?status=queued")["data"] == [])


def test_a_server_that_hangs_puts_clients_off(server: Server, tmp_path: Path) -> None:
    with world_on(server, tmp_path) as world:
        rest = RestClient(world.relay, world.live_key)
        assert send(rest, "before") == 200
        world.wait_for_mail("before")
        server.freeze()
        try:
            assert rest.request("GET", "/healthz").status == 200
            assert send(rest, "frozen") == 503
            assert rest.request("GET", "/readyz").status == 503
            assert rest.request("GET", "/healthz").status == 200
            listed = rest.request("GET", "/v1/emails?q=before")
            assert (listed.status, "narrow it" in str(listed.body)) == (503, False)
        finally:
            server.thaw()
        world.wait_until(lambda: send(rest, "after") == 200)
        world.wait_for_mail("after")
        world.wait_until(lambda: rest.request("GET", "/readyz").status == 200)
