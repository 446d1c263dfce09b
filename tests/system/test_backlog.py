"""A start with a hundred thousand messages queued, most of them for one customer's destination that does not answer."""

import re
import smtplib
import ssl
from pathlib import Path
from typing import Any

from sendryd.store.drivers.sqlite import FILE_NAME, open_connection
from sendryd.testing.clients import RestClient
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
BACKLOG = 100_000
IN_FLIGHT = 1_000  # leased when the program was killed


def submit(world: World, recipient: str) -> str:
    with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
        smtp.mail(AUTHOR)
        smtp.rcpt(recipient)
        code, reply = smtp.data(f"From: {AUTHOR}\r\nTo: {recipient}\r\nSubject: s\r\n\r\nbody\r\n".encode())
        assert code == 250
        return reply.decode().rpartition(" ")[2]


def multiply(data_dir: Path) -> None:
    """Makes very many of the one message that is queued, as if all had been accepted."""
    connection = open_connection(data_dir / FILE_NAME)
    changed = {"id": "t.id + n.i", "message_id": "t.message_id + n.i", "due_at": "t.created_at", "attempts": "0"}
    connection.execute("BEGIN")
    for table in ("message", "delivery"):
        info: list[tuple[Any, ...]] = connection.execute(f"PRAGMA table_info({table})").fetchall()
        names = [row[1] for row in info]
        values = ", ".join(changed.get(name, f"t.{name}") for name in names)
        connection.execute(
            f"WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {BACKLOG})"
            f" INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} AS t, n"
        ).fetchall()
    connection.execute("UPDATE segment SET messages = messages + ?", (BACKLOG,))
    connection.execute(
        "UPDATE delivery SET state = 'leased', lease_token = 1, lease_boot = 1, lease_node = 'local'"
        " WHERE id IN (SELECT id FROM delivery WHERE state = 'queued' LIMIT ?)",
        (IN_FLIGHT,),
    )
    connection.execute("COMMIT")
    connection.close()


def memory(pid: int) -> int:
    """Resident octets."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    assert match
    return int(match[1]) * 1024


def test_a_start_with_a_long_queue(tmp_path: Path) -> None:
    with World(tmp_path, env={"SENDRYD_RETRY_SCHEDULE": "1h"}) as world:
        world.nameserver.set("dead.test", "MX", "10 mx.dead.test.")
        world.nameserver.set("mx.dead.test", "A", "127.0.0.2")
        first = submit(world, "user@dead.test")
        world.wait_until(lambda: "deferred" in RestClient(world.relay, world.live_key).events(first))
        assert world.relay.json("queue", "show", first)["data"][0]["attempts"] == 1
        world.relay.kill()
        multiply(world.relay.data_dir)
        world.relay.start()
        assert world.relay.worked < 10  # a start with an empty queue takes about two
        assert f'"count": {IN_FLIGHT}' in world.relay.log_tail()
        for _ in range(3):
            message_id = submit(world, "other@example.org")
            world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key, timeout=60)  # behind the others it were minutes
        assert memory(world.relay.process.pid) < 250 * 1024 * 1024
        status, body = world.relay.get("/v1/emails?limit=1", world.live_key)
        assert (status, len(body["data"])) == (200, 1)
        assert world.relay.stop() == 0
