"""The loads: how much mail of what size over how many connections, and how far the servers take it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One load. It ends with its messages or its seconds, whichever is first."""

    name: str
    title: str
    messages: int
    seconds: float
    size: int = 5120
    connections: int = 20
    per_connection: int = 0  # 0: each connection stays open
    delivers: bool = False  # else the mail stays in the queue
    signs: bool = False  # each message leaves with DKIM
    baseline: str = "postfix"
    peers: tuple[str, ...] = ()  # empty: all that can

    @property
    def is_pinned(self) -> bool:
        """Server and load on a core each. End to end there is a third program, and all share the cores."""
        return not self.delivers

    @property
    def warm_up(self) -> int:
        """Messages before those that count. Small ones are four a connection, so that caches and pools are filled."""
        return self.connections * (4 if self.size <= 100_000 else 1)

    def scaled(self, factor: float) -> "Scenario":
        """A part of the load, with a message for each connection and a second at least."""
        return replace(self, messages=max(self.connections, round(self.messages * factor)), seconds=max(1.0, self.seconds * factor))


OURS = ("sendryd", "sendryd-postgres")
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="reused", title="5 KB, durable accept, 20 connections reused", messages=40_000, seconds=5),
        Scenario(
            name="fresh",
            title="5 KB, durable accept, a connection and handshake for each message",
            messages=8000,
            seconds=5,
            per_connection=1,
        ),
        Scenario(name="large", title="1 MB, durable accept, 20 connections reused", messages=300, seconds=8, size=1 << 20),
        Scenario(name="end-to-end", title="5 KB, until the next hop has it", messages=4000, seconds=60, delivers=True),
        Scenario(
            name="end-to-end-dkim",
            title="5 KB, until the next hop has it, signed with RSA-2048",
            messages=3000,
            seconds=60,
            delivers=True,
            signs=True,
            baseline="postfix-opendkim",
        ),
        Scenario(
            name="end-to-end-100k",
            title="100 KB, until the next hop has it",
            messages=2000,
            seconds=60,
            size=100_000,
            delivers=True,
            peers=OURS,
        ),
    )
}
