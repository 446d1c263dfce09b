"""Counters and gauges of the running program, in the Prometheus text format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """All metrics of one process. Each instance has a registry of its own, so that two servers can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter("sendryd_messages_accepted", "Messages stored and acknowledged.", ["mode"], registry=self.registry)
        self.refused = Counter("sendryd_messages_refused", "Commands and messages refused at a door.", ["reason"], registry=self.registry)
        self.connections = Gauge("sendryd_smtp_connections", "Open SMTP connections.", registry=self.registry)
        self.connections_refused = Counter("sendryd_smtp_connections_refused", "Connections refused by a limit.", registry=self.registry)

    def gauge(self, name: str, help_text: str) -> Gauge:
        """A further gauge, for the statistics of long-lived objects."""
        return Gauge(name, help_text, registry=self.registry)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
