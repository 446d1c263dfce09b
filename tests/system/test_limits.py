"""Connections over a limit, a store that cannot be written, a login that is guessed."""

import socket
import time

from sendryd.testing.process import RelayProcess
from sendryd.testing.world import World


def greeting(relay: RelayProcess) -> tuple[socket.socket, bytes]:
    sock = socket.create_connection(relay.smtp, timeout=10)
    return sock, sock.recv(1000)


def test_connections_over_the_limit_are_told_to_come_later() -> None:
    with World(env={"SENDRYD_SMTP_MAX_CONNECTIONS_UNAUTHENTICATED_PER_ADDRESS": "3"}) as world:
        held = [greeting(world.relay) for _ in range(3)]
        assert all(first.startswith(b"220 ") for _, first in held)
        extra, first = greeting(world.relay)
        assert first.startswith(b"421 4.7.0 ")
        assert extra.recv(100) == b""
        for sock, _ in held:
            sock.close()
        deadline = time.monotonic() + 10
        while True:
            sock, first = greeting(world.relay)
            sock.close()
            if first.startswith(b"220 "):
                break
            assert time.monotonic() < deadline
        extra.close()
