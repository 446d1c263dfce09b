"""Listening sockets: a port that is taken is one line, and `[::]` means every address."""

import socket

import pytest

from sendryd.app.listen import PortTaken, bind, bound_address
from sendryd.app.values import Address

pytestmark = pytest.mark.sockets


def test_a_free_port_is_found_and_named() -> None:
    asked = Address("127.0.0.1", 0)
    with bind(asked) as sock:
        found = bound_address(sock, asked)
        assert (found.host, found.port) == ("127.0.0.1", sock.getsockname()[1])
        with socket.create_connection((found.host, found.port), timeout=5) as client:
            assert client.getpeername()[1] == found.port  # it waits, before anybody accepts


def test_a_port_that_is_taken() -> None:
    with bind(Address("127.0.0.1", 0)) as first:
        place = bound_address(first, Address("127.0.0.1", 0))
        with pytest.raises(PortTaken, match=rf"^cannot listen on {place}: Address already in use$"):
            bind(place)


@pytest.mark.parametrize("host", ["192.0.2.1", "name-that-is.invalid"])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(PortTaken, match=rf"^cannot listen on {host}:2500: "):
        bind(Address(host, 2500))


def test_every_address_is_that_of_both_families() -> None:
    with bind(Address("::", 0)) as sock, socket.create_connection(("127.0.0.1", sock.getsockname()[1]), timeout=5) as client:
        assert client.getpeername()[0] == "127.0.0.1"
