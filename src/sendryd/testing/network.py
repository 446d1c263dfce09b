"""Links between this machine and a network namespace, which can be cut as cables and firewalls cut them. Only root may make them.

Each link is a network of two addresses. A link that is silent loses every packet: what was sent is sent again and again, as TCP does. One that refuses
leads to another namespace, where no such connection is known: every packet is answered with a reset.
"""

import os
import secrets
import subprocess
from types import TracebackType
from typing import Final, Self

NOWHERE: Final = "02:00:00:00:00:01"  # the hardware address of no interface


def is_permitted() -> bool:
    """Whether this process may make network namespaces."""
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run(["ip", "netns", "list"], capture_output=True, check=False).returncode == 0 and not _fails(
            "unshare", "-n", "true"
        )
    except FileNotFoundError:
        return False


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def _do(*commands: str) -> None:
    for command in commands:
        done = subprocess.run(command.split(), capture_output=True, check=False)
        if done.returncode:
            raise OSError(f"{command}: {done.stderr.decode().strip()}")


class Network:
    """A namespace with a number of links. A context manager."""

    def __init__(self, links: int) -> None:
        mark = secrets.token_hex(3)
        self._inner, self._stranger = f"sendryd-{mark}-a", f"sendryd-{mark}-b"
        self._mark = mark
        self._net = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(250)}"
        self._links = range(links)

    def __enter__(self) -> Self:
        try:
            for name in (self._inner, self._stranger):
                _do(f"ip netns add {name}", f"ip -n {name} link set lo up")
            for link in self._links:
                self._connect(link)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for name in (self._inner, self._stranger):
            _fails("ip", "netns", "del", name)
        for link in self._links:  # a namespace lives on for as long as one of its sockets does
            for end in ("a", "b"):
                _fails("ip", "link", "del", self._name(link, end))

    def _name(self, link: int, end: str) -> str:
        return f"s{self._mark}{link}{end}"

    def _own(self, link: int) -> str:
        return f"{self._net}.{4 * link + 1}"

    def address(self, link: int) -> str:
        """The address of the namespace at the other end of a link."""
        return f"{self._net}.{4 * link + 2}"

    def _connect(self, link: int) -> None:
        for namespace, end in ((self._inner, "a"), (self._stranger, "b")):
            name, far = self._name(link, end), self._name(link, end + "x")
            _do(
                f"ip link add {name} type veth peer name {far} netns {namespace}",
                f"ip link set {name} up",
                f"ip -n {namespace} addr add {self.address(link)}/30 dev {far}",
                f"ip -n {namespace} link set {far} up",
            )
        _do(f"ip addr add {self._own(link)}/30 dev {self._name(link, 'a')}")

    def inside(self, user: int, group: int) -> list[str]:
        """The beginning of a command that runs in the namespace, as a user, and ends with its parent."""
        return [
            *("nsenter", f"--net=/run/netns/{self._inner}", "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
            *("--pdeathsig", "QUIT", "--"),
        ]

    def silence(self, link: int) -> None:
        """Loses all packets of a link, both ways."""
        _do(
            f"ip neigh replace {self.address(link)} lladdr {NOWHERE} dev {self._name(link, 'a')} nud permanent",
            f"ip -n {self._inner} neigh replace {self._own(link)} lladdr {NOWHERE} dev {self._name(link, 'ax')} nud permanent",
        )

    def refuse(self, link: int) -> None:
        """Answers all packets of a link with a reset."""
        _do(f"ip route replace {self.address(link)}/32 dev {self._name(link, 'b')} src {self._own(link)}")

    def mend(self, link: int) -> None:
        """Makes a link whole again."""
        _fails("ip", "route", "del", f"{self.address(link)}/32", "dev", self._name(link, "b"))
        _fails("ip", "neigh", "del", self.address(link), "dev", self._name(link, "a"))
        _fails("ip", "-n", self._inner, "neigh", "del", self._own(link), "dev", self._name(link, "ax"))
