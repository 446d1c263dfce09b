"""Nodes whose clocks are a minute apart: mail goes at once and not before its time, whichever of them takes and sends it."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sendryd.runtime.clock import SystemClock
from sendryd.testing.clients import RestClient
from sendryd.testing.postgres import shared_server
from sendryd.testing.process import RelayProcess
from sendryd.testing.wallclock import WallClock
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres", "faketime")]

SITES = 10  # each node owns about half of them
SOON = timedelta(seconds=8)


def send(rest: RestClient, number: int, subject: str, **more: object) -> str:
    body = {"from": f"a@{SENDING_DOMAIN}", "to": f"u@d{number}.test", "subject": subject, "text": "t", **more}
    return str(rest.post("/v1/emails", body)["id"])


@pytest.mark.parametrize("offset", ["+60", "-60"])
def test_clocks_a_minute_apart_delay_no_mail_and_send_none_too_early(tmp_path: Path, offset: str) -> None:
    url = shared_server().url(shared_server().new_database())
    with World(tmp_path, env={"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}) as world:
        for number in range(SITES):
            world.nameserver.set(f"d{number}.test", "MX", f"10 mx{number}.test.")
            world.nameserver.set(f"mx{number}.test", "A", "127.0.0.1")
        env = {**world.relay.env, "SENDRYD_NODE_NAME": "b"}
        WallClock(tmp_path / "b.clock", env).set(offset)
        with RelayProcess(tmp_path / "b", {**env, "SENDRYD_DATA_DIR": str(tmp_path / "b")}) as other:
            world.wait_until(lambda: {each["owns"] for each in world.relay.json("nodes", "list")["data"]} == {128})
            doors = [RestClient(relay, world.live_key) for relay in (world.relay, other)]
            began = SystemClock().now()
            due = {send(door, number, f"{offset} later", scheduled_at=(began + SOON).isoformat()) for number in range(2) for door in doors}
            for number in range(SITES):
                for door in doors:
                    send(door, number, f"{offset} now")
            mark = f"\r\nSubject: {offset} now\r\n".encode()
            world.wait_until(lambda: sum(mark in mail.content for mail in world.mailhost.mails) == 2 * SITES)
            assert SystemClock().now() - began < timedelta(seconds=30)
            for public_id in due:
                world.relay.wait_for_status(public_id, {"delivered"}, key=world.live_key)
                sent_at = datetime.fromisoformat(doors[0].get(f"/v1/emails/{public_id}")["sent_at"])
                assert timedelta(seconds=6) < sent_at - began < timedelta(seconds=40)
