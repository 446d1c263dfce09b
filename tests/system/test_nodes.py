"""Several nodes on one PostgreSQL, with the real program: what is changed through one holds at the others, and mail is delivered once."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import Script
from sendryd.testing.postgres import shared_server
from sendryd.testing.process import RelayFailed, RelayProcess
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]


@pytest.fixture
def url() -> Iterator[str]:
    name = shared_server().new_database()
    yield shared_server().url(name)
    shared_server().drop_database(name)


@contextmanager
def second_node(world: World, name: str = "b", args: tuple[str, ...] = (), **env: str) -> Iterator[RelayProcess]:
    """One more node on the world's database."""
    with RelayProcess(
        world.directory / name,
        {**world.relay.env, "SENDRYD_DATA_DIR": str(world.directory / name), "SENDRYD_NODE_NAME": name, **env},
        args=args,
    ) as node:
        yield node


def nodes_of(relay: RelayProcess) -> dict[str, dict[str, object]]:
    return {node["name"]: node for node in relay.json("nodes", "list")["data"]}


def mail(subject: str, domain: str = "example.org") -> dict[str, object]:
    return {"from": f"a@{SENDING_DOMAIN}", "to": [f"ann@{domain}"], "subject": subject, "text": "t"}


def test_two_nodes_share_keys_domains_and_mail(tmp_path: Path, url: str) -> None:
    with World(tmp_path, env={"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}) as world, second_node(world) as other:
        assert not other.keys, "first keys are printed once for each database"
        first, second = RestClient(world.relay, world.live_key), RestClient(other, world.live_key)
        for rest, subject in ((first, "through a"), (second, "through b")):
            email = str(rest.post("/v1/emails", mail(subject))["id"])
            world.relay.wait_for_status(email, {"delivered"}, key=world.live_key)
            world.wait_for_mail(subject)
        key = json.loads(world.relay.run("keys", "create", "--name", "new", "--json").stdout)
        world.wait_until(lambda: RestClient(other, key["key"]).request("GET", "/v1/emails").status == 200, timeout=2)
        world.relay.run("keys", "revoke", key["id"])
        world.wait_until(lambda: RestClient(other, key["key"]).request("GET", "/v1/emails").status == 401, timeout=3)
        world.wait_until(lambda: {node["owns"] for node in nodes_of(world.relay).values()} == {128})
        assert {name: node["state"] for name, node in nodes_of(world.relay).items()} == {"a": "up", "b": "up"}


def test_mail_of_a_node_that_does_not_deliver_is_delivered_by_another(tmp_path: Path, url: str) -> None:
    env = {"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a", "SENDRYD_ACCOUNT_QUOTA": "10/1h"}
    with World(tmp_path, env=env) as world, second_node(world, args=("--role", "smtp,http")) as door:
        clients = [RestClient(relay, world.live_key) for relay in (door, world.relay)]
        for number in range(10):
            assert clients[number % 2].request("POST", "/v1/emails", mail(f"mail {number}")).status == 200
        assert [each.request("POST", "/v1/emails", mail("too much")).status for each in clients] == [429, 429], "one quota for all nodes"
        for number in range(10):
            world.wait_for_mail(f"mail {number}")
        assert nodes_of(world.relay)["a"]["owns"] == 256


def test_twins_through_two_nodes_send_one_mail(tmp_path: Path, url: str) -> None:
    with World(tmp_path, env={"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}) as world, second_node(world) as other:
        clients = [RestClient(relay, world.live_key) for relay in (world.relay, other)]
        with ThreadPoolExecutor(8) as threads:
            for number in range(5):
                send = [
                    threads.submit(client.request, "POST", "/v1/emails", mail(f"twin {number}"), {"Idempotency-Key": f"key {number}"})
                    for client in clients * 4
                ]
                assert len({str(each.result().json["id"]) for each in send}) == 1
        for number in range(5):
            world.wait_for_mail(f"twin {number}")
        assert len(world.mailhost.mails) == 5


def test_a_counting_receiver_sees_the_limit_of_a_site_kept_by_all_nodes_together(tmp_path: Path, url: str) -> None:
    script = Script(seconds_to_final=0.02)
    with World(tmp_path, env={"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}, script=script) as world:
        for number in range(40):  # domains with the same MX record are one site, whose domains are in many shards
            world.nameserver.set(f"d{number}.test", "MX", "10 mx.example.org.")
        with second_node(world) as other:
            world.wait_until(lambda: {node["owns"] for node in nodes_of(world.relay).values()} == {128})
            for start, relay in ((0, world.relay), (300, other)):
                rest = RestClient(relay, world.live_key)
                for first in range(start, start + 300, 100):
                    rest.post(
                        "/v1/emails/batch", {"emails": [mail(f"m{number}", f"d{number % 40}.test") for number in range(first, first + 100)]}
                    )
            world.wait_until(lambda: len(world.mailhost.mails) >= 600, timeout=60)
            assert len(world.mailhost.mails) == 600
            assert world.mailhost.max_open_connections <= 20


def test_a_counting_smart_host_sees_its_limit_kept_while_a_node_comes_and_another_drains(tmp_path: Path, url: str) -> None:
    world = World(tmp_path, env={"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}, script=Script(seconds_to_final=0.3))
    world.relay.env["SENDRYD_SMARTHOST"] = f"smtp+notls://127.0.0.1:{world.mailhost.port}"
    with world:
        rest = RestClient(world.relay, world.live_key)

        def send(start: int) -> None:
            for first in range(start, start + 400, 100):
                batch = [mail(f"m{number}", f"d{number % 40}.test") for number in range(first, first + 100)]
                rest.post("/v1/emails/batch", {"emails": batch})

        send(0)
        world.wait_until(lambda: world.mailhost.open_connections >= 15)
        with second_node(world) as other:
            send(400)
            world.wait_until(lambda: {node["owns"] for node in nodes_of(world.relay).values()} == {128})
            send(800)
            world.relay.run("nodes", "drain", "b")
            world.wait_until(lambda: nodes_of(world.relay)["b"]["state"] == "drained", timeout=40)
            world.wait_until(lambda: len(world.mailhost.mails) >= 1200, timeout=120)
            assert other.is_running
        assert len(world.mailhost.mails) == 1200
        assert world.mailhost.max_open_connections <= 20


def test_a_node_that_drains_refuses_submissions_owns_nothing_and_takes_part_again_after_a_restart(tmp_path: Path, url: str) -> None:
    with World(tmp_path, env={"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}) as world, second_node(world) as other:
        world.wait_until(lambda: {node["owns"] for node in nodes_of(world.relay).values()} == {128})
        world.relay.run("nodes", "drain", "b")
        world.wait_until(lambda: (nodes_of(world.relay)["b"]["state"], nodes_of(world.relay)["b"]["owns"]) == ("drained", 0), timeout=20)
        with socket.create_connection(other.smtp, timeout=10) as connection:
            assert connection.recv(1000).startswith(b"421 4.3.2 ")
        assert RestClient(other, world.live_key).request("GET", "/healthz").status == 200
        world.wait_until(lambda: nodes_of(world.relay)["a"]["owns"] == 256)
        rest = RestClient(world.relay, world.live_key)
        email = str(rest.post("/v1/emails", mail("after"))["id"])
        world.relay.wait_for_status(email, {"delivered"}, key=world.live_key)
        other.stop()
        other.start()
        world.wait_until(
            lambda: (
                {name: (node["state"], node["owns"]) for name, node in nodes_of(world.relay).items()}
                == {"a": ("up", 128), "b": ("up", 128)}
            )
        )
        assert world.relay.run("nodes", "drain", "nobody", check=False).returncode == 1


def test_processes_of_one_serve_are_nodes_and_one_that_is_killed_is_started_again(tmp_path: Path, url: str) -> None:
    env = {"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}
    with World(tmp_path, env=env, args=("--processes", "2")) as world:
        assert world.relay.ready["processes"] == 2
        world.wait_until(lambda: {name: node["owns"] for name, node in nodes_of(world.relay).items()} == {"a": 128, "a-2": 128})
        rest = RestClient(world.relay, world.live_key)
        for number in range(10):
            rest.post("/v1/emails", mail(f"m{number}"))
        world.wait_until(lambda: len(world.mailhost.mails) == 10)
        before = nodes_of(world.relay)["a-2"]["since"]
        victim = next(
            child for child in children(world.relay.process.pid) if b"2" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        )
        os.kill(victim, signal.SIGKILL)
        world.wait_until(
            lambda: nodes_of(world.relay)["a-2"]["since"] != before and nodes_of(world.relay)["a-2"]["owns"] == 128, timeout=30
        )
        assert world.relay.stop() == 0


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def test_sqlite_has_one_process_and_one_node(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        if "SENDRYD_DATABASE_URL" in world.relay.env:
            pytest.skip("the tests run on a server's database")
        for command in (("serve", "--processes", "2"), ("nodes", "list")):
            done = world.relay.run(*command, check=False)
            assert done.returncode in {1, 2}
            assert b"SENDRYD_DATABASE_URL" in done.stderr
            assert done.stderr.count(b"\n") == 1


def test_a_node_that_is_killed_is_taken_over_from_within_40_seconds(tmp_path: Path, url: str) -> None:
    with World(tmp_path, env={"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}) as world, second_node(world) as other:
        for number in range(16):  # sites of their own, about half of which the killed node owns
            world.nameserver.set(f"d{number}.test", "MX", f"10 mx{number}.test.")
            world.nameserver.set(f"mx{number}.test", "A", "127.0.0.1")
        world.wait_until(lambda: {node["owns"] for node in nodes_of(world.relay).values()} == {128})
        other.kill()
        rest = RestClient(world.relay, world.live_key)
        rest.post("/v1/emails/batch", {"emails": [mail(f"m{number}", f"d{number}.test") for number in range(16)]})
        world.wait_until(lambda: len(world.mailhost.mails) == 16, timeout=40)
        states = {name: (node["state"], node["owns"]) for name, node in nodes_of(world.relay).items()}
        assert states == {"a": ("up", 256), "b": ("gone", 0)}


def test_processes_stop_in_order_when_all_of_them_get_the_signal_and_when_the_one_that_started_them_is_killed(
    tmp_path: Path, url: str
) -> None:
    """As systemd stops a service; and as the kernel ends a process that used too much memory."""
    env = {"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}
    with World(tmp_path, env=env, args=("--processes", "2")) as world:
        started = children(world.relay.process.pid)
        assert len(started) == 2
        for pid in [*started, world.relay.process.pid]:
            os.kill(pid, signal.SIGTERM)
        assert world.relay.process.wait(35) == 0
        assert "stopped_at_once" not in world.relay.log_tail()
        world.relay.start()
        started = children(world.relay.process.pid)
        world.relay.process.kill()
        world.relay.process.wait()
        world.wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").is_file() for pid in started))
        assert {name: node["state"] for name, node in nodes_of(world.relay).items()} == {"a": "gone", "a-2": "gone"}
        world.relay.start()


def test_processes_that_start_are_stopped_by_a_signal_and_not_ended_by_one_that_reads_settings_again(tmp_path: Path, url: str) -> None:
    env = {"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}
    with World(tmp_path, env=env, args=("--processes", "2")) as world:
        world.relay.stop()
        environment = {**world.relay.env, "SENDRYD_SMTP_LISTEN": "127.0.0.1:0", "SENDRYD_HTTP_LISTEN": "127.0.0.1:0"}
        for number in (signal.SIGHUP, signal.SIGTERM):
            process = subprocess.Popen(
                [sys.executable, "-m", "sendryd", "serve", "--processes", "3", "--json"], env=environment, stdout=subprocess.PIPE
            )
            world.wait_until(lambda process=process: bool(children(process.pid)))  # type: ignore[misc]  # bound now
            process.send_signal(number)
            assert process.stdout is not None
            line = process.stdout.readline()
            assert bool(line) is (number == signal.SIGHUP)
            process.terminate()
            assert process.wait(35) == 0
            process.stdout.close()
        world.relay.start()


def test_a_copy_of_a_living_nodes_folder_is_refused_and_a_restart_is_not(tmp_path: Path, url: str) -> None:
    with World(tmp_path, env={"SENDRYD_DATABASE_URL": url, "SENDRYD_NODE_NAME": "a"}) as world:
        copy = world.directory / "copy"
        shutil.copytree(world.relay.data_dir, copy)
        with pytest.raises(RelayFailed, match=r"another node uses a copy of this data directory: remove the file node\.id"):
            second_node(world, "copy").__enter__()
        (copy / "node.id").unlink()
        with second_node(world, "copy"):
            world.relay.kill()
            world.relay.start()
            assert {node["state"] for node in nodes_of(world.relay).values()} == {"up"}
