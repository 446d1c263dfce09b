"""Connections to PostgreSQL over a network that is cut: what the other end holds."""

from collections.abc import Iterator

import pytest

from sendryd.store.drivers.postgres import ALONE, PostgresConnection, Target, connect
from sendryd.testing.loopthread import LoopThread
from sendryd.testing.network import Network
from sendryd.testing.postgres import Server, own_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres", "namespaces")]

TIMEOUT = 30.0  # seconds: the server is to notice in half of this


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(2) as made:
        yield made


@pytest.fixture
def server(network: Network) -> Iterator[Server]:
    with own_server(network=network) as made:
        yield made


def test_a_node_that_is_cut_off_between_preparing_a_statement_and_running_it_holds_no_locks(server: Server, network: Network) -> None:
    """The server takes such a session for active, and waits for the rest of its message."""
    database = server.new_database()
    target = server.target(database)
    thread = LoopThread()
    away = thread.run(connect(Target(server.url(database, link=1), target.name)))
    thread.run(away.execute(f"BEGIN; SELECT pg_advisory_xact_lock({ALONE})"))
    thread.run(away.prepare("SELECT 1"))
    network.silence(1)
    other = PostgresConnection(target, TIMEOUT)
    other.begin(is_alone=True)
    other.commit()
    other.close()
    away.terminate()
    thread.close()
