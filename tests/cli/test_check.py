"""`sendryd check` on a fresh machine, on a faulty one, and in a good world."""

import fcntl
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.app.health import is_served
from sendryd.testing.samples import Samples
from sendryd.testing.world import World

pytestmark = pytest.mark.sockets


@pytest.fixture
def good_world(tmp_path: Path) -> Iterator[World]:
    env = {"SENDRYD_PUBLIC_URL": "https://relay.example.test", "SENDRYD_BLOCK_LISTS": "zen.example"}
    with World(tmp_path, env=env) as world:
        world.nameserver.set("relay.example.test", "A", "127.0.0.1")
        world.nameserver.set("1.0.0.127.in-addr.arpa", "PTR", "relay.example.test.")
        world.nameserver.set("gmail.com", "MX", "10 mx.example.org.")
        yield world


def findings(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The worst of each check."""
    found: dict[str, dict[str, Any]] = {}
    for each in document["data"]:
        found.setdefault(each["check"], each)
    return found


def test_a_fresh_machine_is_told_what_to_do_first(cli: Any) -> None:
    result = cli.run("check", status=1)
    first, second = result.stdout.splitlines()[:2]
    assert first.startswith("wrong    There is no database in ")
    assert second.strip().startswith("→ Start the program once: sendryd serve.")
    assert not (cli.data_dir / "sendryd.db").exists()  # looking makes nothing
    assert result.stderr.rstrip().endswith("wrong.")
    as_json = cli.run("check", "--json", status=1)
    assert (json.loads(as_json.stdout)["sound"], as_json.stderr) == (False, result.stderr)


def test_a_server_of_the_database_that_cannot_be_reached_is_named_without_its_password(cli: Any) -> None:
    cli.env["SENDRYD_DATABASE_URL"] = "postgresql://u:secret@127.0.0.1:1/mail"
    result = cli.run("check", status=1)
    assert result.stdout.splitlines()[0] == "wrong    The database at 127.0.0.1:1/mail cannot be reached: Connection refused."
    assert "secret" not in result.stdout + result.stderr


def test_in_a_good_world_nothing_is_wrong(good_world: World) -> None:
    relay = good_world.relay
    document = relay.json("check")
    assert document["sound"] is True
    assert [each for each in document["data"] if each["verdict"] in {"wrong", "unknown"}] == []
    found = findings(document)
    assert set(found) >= {
        "data",
        "disk",
        "spool",
        "clock",
        "server",
        "resolver",
        "host_name",
        "ptr",
        "port_25",
        "certificate",
        "http",
        "domain",
    }
    assert found["server"]["sentence"] == "sendryd serve runs on this data directory."
    assert found["domain"]["about"] == "example.test"
    plain = relay.run("check")
    assert plain.returncode == 0
    assert b"Nothing is wrong." in plain.stderr


def test_check_names_each_external_fault_and_its_remedy(good_world: World) -> None:
    names = good_world.nameserver
    names.remove("1.0.0.127.in-addr.arpa")
    names.set("1.0.0.127.zen.example", "A", "127.0.0.2")
    for name, kind in list(names.zone):
        if kind == "TXT" and "_domainkey" in name:
            names.remove(name)
    done = good_world.relay.run("check", "--json", check=False)
    assert done.returncode == 1
    lines = done.stdout.decode()
    assert "has no PTR record" in lines
    assert "Have your hosting provider set the PTR record of 127.0.0.1 to relay.example.test." in lines
    assert "The block list zen.example names 127.0.0.1." in lines
    assert "example.test, DKIM: " in lines
    assert lines.index("has no PTR record") < lines.index("DKIM") < lines.index("zen.example")


def test_the_smart_hosts_of_domains_are_dialled(good_world: World) -> None:
    relay, port = good_world.relay, good_world.mailhost.port
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nothing listens there
        dead = closed.getsockname()[1]
        for name, url in (
            ("good.test", f"smtp://user:secret@127.0.0.1:{port}"),
            ("dead.test", f"smtp://127.0.0.1:{dead}"),
            ("lost.test", "smtp://nowhere.test:587"),
        ):
            relay.run("domains", "add", name)
            relay.run("domains", "set", name, f"smarthost={url}")
        found = [each for each in json.loads(relay.run("check", "--json", check=False).stdout)["data"] if each["check"] == "smart_host"]
    words = {each["about"]: each["sentence"] for each in found}
    assert words[f"127.0.0.1:{port}"] == f"The smart host 127.0.0.1:{port} of good.test answers."
    dead_words = f"The smart host 127.0.0.1:{dead} of dead.test cannot be reached: Connection refused. Mail waits for it."
    assert words[f"127.0.0.1:{dead}"] == dead_words
    assert "DNS has no address for it" in words["nowhere.test:587"]
    assert all("sendryd domains set" in each["fix"] for each in found if each["verdict"] == "wrong")
    assert "secret" not in str(found)


def test_stored_faults_are_found_while_nothing_runs(cli: Any) -> None:
    async def spoil(basics: Basics) -> None:
        now = basics.clock.now()
        await basics.domains.add(DEFAULT_ACCOUNT, "acme.example")
        old = Samples(now - timedelta(hours=9)).message(("a@one.test",), created_at=now - timedelta(hours=9), due_at=now)
        await basics.store.accept(old)

    cli.store(spoil)
    for path in (cli.data_dir / "spool").glob("*.seg"):
        path.unlink()
    found = findings(cli_json(cli))
    assert found["queue"]["sentence"] == "1 delivery waits, the oldest for 9 h."
    assert found["spool"]["sentence"] == "The spool lacks 1 file with 1 message: they are held when their turn comes."
    assert found["server"]["verdict"] == "advised"
    assert {each["about"] for each in cli_json(cli)["data"] if each["check"] == "domain"} == {"acme.example"}


def test_a_database_that_cannot_be_opened_is_a_finding(cli: Any) -> None:
    cli.data_dir.mkdir(exist_ok=True)
    (cli.data_dir / "sendryd.db").write_bytes(b"this is no database" * 1000)
    found = findings(cli_json(cli))
    assert found["data"]["verdict"] == "wrong"
    assert found["data"]["sentence"].startswith(f"The database in {cli.data_dir} cannot be used: ")
    assert "disk" in found


def test_is_served_reads_the_lock(tmp_path: Path) -> None:
    assert is_served(tmp_path) is False
    with (tmp_path / "serve.lock").open("w") as lock:
        assert is_served(tmp_path) is False
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_served(tmp_path) is True


def cli_json(cli: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(cli.run("check", "--json", status=1).stdout)
    return document
