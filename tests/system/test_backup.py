"""A backup of a running relay that takes mail all the time: all that was acknowledged before is in it, and goes out after a restoration."""

import threading
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = pytest.mark.sockets


def test_a_running_relay_is_saved_and_goes_on_elsewhere(tmp_path: Path) -> None:
    with World(tmp_path, script=Script(rcpt=lambda _path: "451 4.3.2 Not now"), env={"SENDRYD_RETRY_SCHEDULE": "200ms"}) as world:
        rest = RestClient(world.relay, world.live_key)
        acknowledged: list[str] = []
        is_over = threading.Event()

        def send() -> None:
            while not is_over.is_set():
                mail = {"from": f"a@{SENDING_DOMAIN}", "to": ["b@example.org"], "subject": str(len(acknowledged)), "text": "x" * 20_000}
                acknowledged.append(rest.post("/v1/emails", mail)["id"])

        sending = threading.Thread(target=send)
        sending.start()
        try:
            world.wait_until(lambda: len(acknowledged) >= 20)
            before = list(acknowledged)
            world.relay.json("backup", str(tmp_path / "saved"))
            during = len(acknowledged) - len(before)
        finally:
            is_over.set()
            sending.join()
        assert during > 0
        assert b"sendryd serve is running" in world.relay.run("restore", str(tmp_path / "saved"), check=False).stderr
        world.relay.stop()
        world.relay.data_dir.rename(tmp_path / "lost")
        restored = world.relay.json("restore", str(tmp_path / "saved"))
        assert restored["is_whole"]
        assert len(before) <= restored["messages"] <= len(acknowledged)
        world.mailhost.script = Script()
        world.relay.start()
        for message_id in before:
            world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
        events = rest.get(f"/v1/emails/{before[0]}/events")["data"]
        assert [each["metadata"]["possibly_duplicate"] for each in events if each["type"] == "delivered"] == [True]
        assert world.relay.cert.read_bytes() == (tmp_path / "lost" / "tls" / "cert.pem").read_bytes()
