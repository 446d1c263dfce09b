"""A target: one address of one host, and what it must give before it gets mail. Pure."""

from dataclasses import field

from sendryd.policy.egress import Source
from sendryd.policy.tls import TlsRequirement
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True, kw_only=True)
class Target:
    """What an attempt connects to. Hashable: connections are kept by it."""

    host: str  # lower case
    address: str  # an IP address
    port: int
    tls: TlsRequirement = field(hash=False)  # an address has few of them, which equality tells apart
    credentials: tuple[str, str] | None = field(default=None, repr=False)  # user name and password for a smart host
    source: Source | None = None  # the address of ours that dials it; None: the system chooses

    def __str__(self) -> str:
        return f"{self.host}[{self.address}]:{self.port}"
