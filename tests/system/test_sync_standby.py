"""A synchronous standby that hangs: what a client was refused may be stored nonetheless, and then says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.postgres import Server, own_server, standby_of
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres"), pytest.mark.timeout(300)]

SETTINGS = {"synchronous_commit": "on", "wal_level": "replica", "max_wal_senders": "4"}


@pytest.fixture
def primary() -> Iterator[Server]:
    with own_server(SETTINGS) as made:
        yield made


def mail(subject: str) -> dict[str, object]:
    return {"from": f"a@{SENDING_DOMAIN}", "to": ["ann@example.org"], "subject": subject, "text": "t"}


LAST_BEAT = "SELECT max(last_seen) FROM node"


def refuse_one(world: World, primary: Server, standby: Server, name: str) -> list[dict[str, Any]]:
    """Sends a mail while the standby hangs. Returns it if it was stored; another write of the process, a heartbeat, may have kept it from the database."""
    rest = RestClient(world.relay, world.live_key)
    beat = primary.read(LAST_BEAT, name)
    world.wait_until(lambda: primary.read(LAST_BEAT, name) != beat)
    standby.freeze()
    try:
        assert rest.request("POST", "/v1/emails", mail("refused")).status == 503
    finally:
        standby.thaw()
    world.wait_until(lambda: rest.request("GET", "/readyz").status == 200)
    found: list[dict[str, Any]] = rest.get("/v1/emails")["data"]
    return found


def test_what_was_refused_while_the_standby_hung_and_is_stored_is_marked(primary: Server, tmp_path: Path) -> None:
    name = primary.new_database()
    with World(tmp_path, env={"SENDRYD_DATABASE_URL": primary.url(name)}) as world, standby_of(primary, SETTINGS) as standby:
        rest = RestClient(world.relay, world.live_key)
        primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.run("SELECT pg_reload_conf()")
        # So that the mail is queued and not leased by the process that accepts it.
        world.relay.run("queue", "suspend", "--domain", "example.org")
        (stored,) = next(filter(None, (refuse_one(world, primary, standby, name) for _ in range(5))))
        assert stored["subject"] == "refused"
        assert rest.request("POST", "/v1/emails", mail("refused")).status == 200, "as a client repeats it"
        world.relay.run("queue", "resume", "--domain", "example.org")
        for email in rest.get("/v1/emails")["data"]:
            world.relay.wait_for_status(email["id"], {"delivered"}, key=world.live_key)
        assert len(world.mailhost.mails) == 2
        events = rest.get(f"/v1/emails/{stored['id']}/events")["data"]
        assert [each["metadata"].get("possibly_duplicate") for each in events if each["type"] == "delivered"] == [True]
