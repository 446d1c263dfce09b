"""A resolver that answers TXT queries from a dictionary."""

from sendryd.model.domain import SendingDomain
from sendryd.runtime.faults import LookupFailed


class ZoneResolver:
    """`DnsResolver` without mail hosts. A missing name does not exist; a name in `silent` gets no answer."""

    def __init__(self) -> None:
        self.texts: dict[str, tuple[str, ...]] = {}
        self.records: dict[tuple[str, str], tuple[str, ...]] = {}  # others than texts, by name and type
        self.silent: set[str] = set()

    def publish(self, domain: SendingDomain) -> None:
        """Publishes all records that a domain needs."""
        for record in domain.records:
            self.texts[record.name] = (record.value,)

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        del fresh
        if name in self.silent:
            raise LookupFailed(f"TXT of {name}: no answer in time", is_temporary=True)
        if name not in self.texts:
            raise LookupFailed(f"the name {name} does not exist", is_temporary=False)
        return self.texts[name]

    async def mx(self, domain: str) -> tuple[()]:
        raise LookupFailed(f"the name {domain} does not exist", is_temporary=False)

    async def addresses(self, host: str) -> tuple[str, ...]:
        raise LookupFailed(f"the name {host} does not exist", is_temporary=False)

    async def lookup(self, name: str, kind: str) -> tuple[str, ...]:
        if name in self.silent:
            raise LookupFailed(f"{kind} of {name}: no answer in time", is_temporary=True)
        return self.texts.get(name, ()) if kind == "TXT" else self.records.get((name, kind), ())
