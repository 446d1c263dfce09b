"""Several nodes on one PostgreSQL, with the real program: what is changed through one holds at the others, and mail is delivered once."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.postgres import shared_server
from sendryd.testing.process import RelayProcess
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]


@pytest.fixture
def url() -> Iterator[str]:
    name = shared_server().new_database()
    yield shared_server().url(name)
    shared_server().drop_database(name)


@contextmanager
def second_node(world: World, name: str = "b", **env: str) -> Iterator[RelayProcess]:
    """One more node on the world's database."""
    with RelayProcess(
        world.directory / name, {**world.relay.env, "SENDRYD_DATA_DIR": str(world.directory / name), "SENDRYD_NODE_NAME": name, **env}
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
        world.wait_until(lambda: RestClient(other, key["secret"]).request("GET", "/v1/emails").status == 200, timeout=2)
        world.relay.run("keys", "revoke", key["id"])
        world.wait_until(lambda: RestClient(other, key["secret"]).request("GET", "/v1/emails").status == 401, timeout=3)
        world.wait_until(lambda: {node["owns"] for node in nodes_of(world.relay).values()} == {128})
        assert {name: node["state"] for name, node in nodes_of(world.relay).items()} == {"a": "up", "b": "up"}


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
