"""A signed zone, and unbound, which validates it and asks the test name server for everything else."""

import re
import socket
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.dnssec
import dns.name
import dns.resolver
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm, DSDigest

from sendryd.testing.waiting import wait_until

FORWARD = """
forward-zone:
  name: "{name}"
  forward-addr: 127.0.0.1@{upstream}
"""
CONFIG = """
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  pidfile: ""
  directory: "{directory}"
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "validator iterator"
  trust-anchor: "{anchor}"
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  num-threads: 1
auth-zone:
  name: "{zone}"
  zonefile: "{directory}/zone"
  for-upstream: yes
  for-downstream: no
  fallback-enabled: no
remote-control:
  control-enable: no
"""


ATTEMPTS = 10
PORT_TAKEN = "Address already in use"


def _free_port() -> int:
    """A port that is free for UDP and for TCP."""
    while True:
        with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            try:
                datagram.bind(stream.getsockname())
            except OSError:
                continue
            return int(stream.getsockname()[1])


def sign(name: str, records: Mapping[tuple[str, str], str], *, forged: str) -> tuple[str, str]:
    """The signed zone as text, and its DS record. The records of one name, `forged`, do not match their signature."""
    lines = ["@ 300 IN SOA ns hostmaster 1 3600 600 86400 300", "@ 300 IN NS ns", "ns 300 IN A 127.0.0.1"]
    lines += [f"{owner} 300 IN {kind} {value}" for (owner, kind), value in records.items()]
    zone = dns.zone.from_text("\n".join(lines), origin=name, relativize=False)
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
    now = datetime.now(UTC)  # noqa: TID251  unbound's clock is the system's
    dns.dnssec.sign_zone(
        zone, keys=[(private, key)], add_dnskey=True, dnskey_ttl=300, inception=now - timedelta(hours=1), expiration=now + timedelta(days=2)
    )
    anchor = dns.dnssec.make_ds(dns.name.from_text(name), key, DSDigest.SHA256)
    text = zone.to_text(relativize=False)
    return re.sub(
        rf"(?m)^({re.escape(forged)}\.{re.escape(name)}\.? 300 IN TLSA .*)[0-9a-f]$", r"\g<1>0", text
    ), f"{name}. DS {anchor.to_text()}"


class Unbound:
    """The resolver. A context manager."""

    def __init__(self, directory: Path, zone: str, signed: str, anchor: str, *, others: Iterable[str], upstream: int) -> None:
        """`others` are the zones of the name server on the port `upstream`."""
        self.port = 0
        self._zone, self._directory, self._anchor = zone, directory, anchor
        self._forwards = "".join(FORWARD.format(name=name, upstream=upstream) for name in others)
        (directory / "zone").write_text(signed)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # unbound cannot choose its port itself, and another program may take a free one before it does.
        for _ in range(ATTEMPTS):
            self._start()
            if wait_until(lambda: self._ended() or self._answers(), 20.0) and not self._ended():
                return self
            self.__exit__(None, None, None)
            if PORT_TAKEN not in self._log():
                break
        raise AssertionError(self._log())

    def _start(self) -> None:
        self.port = _free_port()
        (self._directory / "unbound.conf").write_text(
            CONFIG.format(port=self.port, directory=self._directory, anchor=self._anchor, zone=self._zone) + self._forwards
        )
        with open(self._directory / "unbound.log", "wb") as log:
            self._process = subprocess.Popen(["unbound", "-d", "-c", self._directory / "unbound.conf"], stderr=log, stdout=log)

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _log(self) -> str:
        return (self._directory / "unbound.log").read_text()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _answers(self) -> bool:
        asker = dns.resolver.Resolver(configure=False)
        asker.nameservers, asker.port, asker.lifetime = ["127.0.0.1"], self.port, 1.0
        try:
            return bool(asker.resolve(self._zone, "SOA"))
        except dns.exception.DNSException:
            return False
