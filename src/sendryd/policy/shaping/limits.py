"""Limits of a site: sessions at once, sessions and messages in a time, messages of a session."""

from dataclasses import dataclass, fields, replace
from typing import Final

from sendryd.valuetype import valuetype

MAX_MESSAGES: Final = 100  # over one connection, without a rule: large providers end it there or earlier
MAX_CONNECTIONS: Final = 20  # at once, without a rule: the contract


@valuetype(frozen=True, slots=True)
class Rate:
    """At most `count` in any stretch of `seconds`."""

    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        """The mean."""
        return self.count / self.seconds

    def __str__(self) -> str:
        return f"{self.count} in {_duration(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a site may get. None: nothing is said."""

    connections: int | None = None  # sessions at once
    connection_rate: Rate | None = None
    message_rate: Rate | None = None
    messages_per_connection: int | None = None
    is_tls_required: bool | None = None

    def over(self, other: "Limits") -> "Limits":
        """These, and the other's where these say nothing."""
        said = {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}
        return replace(other, **said)

    def within(self, other: "Limits") -> "Limits":
        """The stricter of both, for limits that replies have brought."""
        return Limits(
            connections=min((each for each in (self.connections, other.connections) if each is not None), default=None),
            connection_rate=slower(self.connection_rate, other.connection_rate),
            message_rate=slower(self.message_rate, other.message_rate),
            messages_per_connection=self.messages_per_connection,
            is_tls_required=self.is_tls_required,
        )


NO_LIMITS: Final = Limits()


def slower(one: Rate | None, other: Rate | None) -> Rate | None:
    """The one that lets fewer through."""
    if one is None or other is None:
        return one or other
    return one if one.per_second <= other.per_second else other


def _duration(seconds: float) -> str:
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= unit and not seconds % unit:
            number = int(seconds // unit)
            return f"{number} {name}{'s' * (number != 1)}"
    return f"{seconds:g} seconds"
