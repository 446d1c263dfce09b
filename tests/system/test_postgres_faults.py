"""What is wrong with the database of a node is one clear line: at the start on standard error with status 1, later in the log while clients are put off."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.postgres import TEMPLATE, Server, free_port, own_server
from sendryd.testing.process import RelayFailed, RelayProcess
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

PASSWORD = "Zebra-9"
LATER = "INSERT INTO migration (number, name, checksum) VALUES (9999, '9999_later', '0'); ALTER TABLE message ADD COLUMN later TEXT"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a role that has a password and owns nothing."""
    with own_server({"synchronous_commit": "on"}) as made:
        made.run(f"CREATE ROLE mail LOGIN PASSWORD '{PASSWORD}'")
        rules = made.data / "pg_hba.conf"
        rules.write_text("host all mail 127.0.0.1/32 scram-sha-256\n" + rules.read_text("utf-8"), "utf-8")
        made.stop()
        made.start(made.port)
        yield made


def line_of(server_url: str, directory: Path, *command: str) -> str:
    """The one line of a command that fails."""
    done = RelayProcess(directory / "data", {"SENDRYD_DATABASE_URL": server_url}).run(*(command or ("serve",)), check=False)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert len(lines) == 1
    assert PASSWORD not in lines[0]
    assert "wrong" not in lines[0]
    return lines[0]


def as_mail(server: Server, database: str, password: str = PASSWORD) -> str:
    return f"postgresql://mail:{password}@127.0.0.1:{server.port}/{database}"


@pytest.mark.parametrize("command", [("serve",), ("migrate",), ("keys", "list"), ("nodes", "list")], ids=" ".join)
def test_a_wrong_password(server: Server, tmp_path: Path, command: tuple[str, ...]) -> None:
    name = server.new_database()
    assert line_of(as_mail(server, name, "wrong"), tmp_path, *command).endswith(
        f'the database at 127.0.0.1:{server.port}/{name} refuses the role: password authentication failed for user "mail"'
    )


def test_a_role_that_does_not_own_the_database(server: Server, tmp_path: Path) -> None:
    name = server.new_database()
    for command in ("serve", "migrate"):
        line = line_of(as_mail(server, name), tmp_path, command)
        assert f"the role may not do this in the database at 127.0.0.1:{server.port}/{name}: permission denied for " in line
        assert line.endswith("; let it own the database")
    server.run(f"CREATE DATABASE bare_{name}")
    assert line_of(as_mail(server, f"bare_{name}"), tmp_path, "migrate").endswith("; let it own the database")


def test_a_server_that_takes_no_changes(server: Server, tmp_path: Path) -> None:
    name = server.new_database()
    server.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert line_of(server.url(name), tmp_path).endswith("; connect to the primary server")


def test_a_server_that_is_not_there(server: Server, tmp_path: Path) -> None:
    url = f"postgresql://mail:{PASSWORD}@127.0.0.1:{free_port()}/mail"
    assert line_of(url, tmp_path).endswith("/mail cannot be reached: Connection refused")
    assert line_of(as_mail(server, "absent"), tmp_path).endswith('does not exist: database "absent" does not exist; create it')


def test_a_database_without_the_schema_and_one_of_a_later_version(server: Server, tmp_path: Path) -> None:
    name = server.new_database()
    server.run(f"CREATE DATABASE empty_{name}")
    assert line_of(server.url(f"empty_{name}"), tmp_path).endswith("migration(s): run `sendryd migrate`")
    server.run(LATER, name)
    for command in ("serve", "migrate"):
        assert "a newer version of sendryd has changed the database (9999_later): install that version" in line_of(
            server.url(name), tmp_path, command
        )


@contextmanager
def node_on(server: Server, name: str, directory: Path) -> Iterator[World]:
    with World(directory, env={"SENDRYD_DATABASE_URL": server.url(name), "SENDRYD_NODE_NAME": "a"}) as world:
        yield world


def send(world: World, subject: str) -> int:
    mail = {"from": f"a@{SENDING_DOMAIN}", "to": ["ann@example.org"], "subject": subject, "text": "t"}
    return RestClient(world.relay, world.live_key).request("POST", "/v1/emails", mail).status


def events(world: World) -> list[dict[str, str]]:
    """The lines of the log."""
    return [json.loads(line) for line in world.relay.log_path.read_text("utf-8").splitlines() if line.startswith("{")]


def test_a_second_node_of_the_same_name(server: Server, tmp_path: Path) -> None:
    name = server.new_database()
    with node_on(server, name, tmp_path) as world:
        other = RelayProcess(tmp_path / "other", {**world.relay.env, "SENDRYD_DATA_DIR": str(tmp_path / "other")})
        with pytest.raises(RelayFailed, match="another node called a is alive: set SENDRYD_NODE_NAME to another name"):
            other.start()
        assert other.log_path.read_text("utf-8").count("\n") == 1
        assert send(world, "the first goes on") == 200


def test_a_database_that_becomes_read_only_and_is_writable_again(server: Server, tmp_path: Path) -> None:
    name = server.new_database()
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    with node_on(server, name, tmp_path) as world:
        assert send(world, "before") == 200
        server.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        server.run(end)
        world.wait_until(lambda: send(world, "refused") == 503)
        world.wait_until(lambda: RestClient(world.relay, "").request("GET", "/readyz").status == 503)
        world.wait_until(lambda: is_told(world, "takes no changes: ", "; connect to the primary server"))
        server.run(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        server.run(end)
        world.wait_until(lambda: send(world, "after") == 200)
        world.wait_for_mail("after")
        assert "Traceback" not in world.relay.log_path.read_text("utf-8")


def test_a_later_migration_beside_a_node(server: Server, tmp_path: Path) -> None:
    """As an upgrade of several nodes begins."""
    name = server.new_database()
    with node_on(server, name, tmp_path) as world:
        server.run(LATER, name)
        assert send(world, "beside") == 200
        world.wait_for_mail("beside")
        world.relay.stop()
        with pytest.raises(RelayFailed, match="a newer version of sendryd has changed the database"):
            world.relay.start()


@pytest.mark.parametrize("template", ["template0", TEMPLATE], ids=["empty", "another"])
def test_a_database_that_comes_back_with_other_data(server: Server, tmp_path: Path, template: str) -> None:
    """An operator restores into the wrong database, or forgets to."""
    name = server.new_database()
    with node_on(server, name, tmp_path) as world:
        assert send(world, "before") == 200
        world.wait_for_mail("before")
        server.drop_database(name)
        server.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        world.wait_until(lambda: send(world, "refused") in {401, 503})
        world.wait_until(lambda: RestClient(world.relay, "").request("GET", "/healthz").status == 200)
        world.wait_until(
            lambda: (
                [node["state"] for node in nodes_of(world)] == ["up"] if template == TEMPLATE else is_told(world, "run `sendryd migrate`")
            )
        )
        assert "Traceback" not in world.relay.log_path.read_text("utf-8")


def nodes_of(world: World) -> list[dict[str, str]]:
    done = world.relay.run("nodes", "list", "--json", check=False)
    return list(json.loads(done.stdout)["data"]) if not done.returncode else []


def is_told(world: World, *words: str) -> bool:
    return any(all(word in each.get("error", "") for word in words) for each in events(world))
