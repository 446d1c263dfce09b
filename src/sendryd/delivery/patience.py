"""How long one attempt may take until it has a session, over all hosts and addresses that it tries.

A server that accepts connections and says nothing keeps a place for as long as we wait. RFC 5321 §4.5.3.2.1 would have us wait five minutes for
each greeting; a minute for all of them is what other mail can afford, and the next attempt begins with another address.
"""

from dataclasses import dataclass
from typing import Final

CONNECT_BUDGET: Final = 60.0  # seconds for connecting and greetings
OPENING_BUDGET: Final = 120.0  # seconds for all that comes before MAIL: those, EHLO, TLS, AUTH
# Seconds that one address may take of the first while others follow: enough for a connection over slow lines, or for the pauses before a
# greeting that keep spammers away.
SHARE: Final = 20.0
LEAST: Final = 1.0  # seconds; with less no connection is begun


@dataclass(slots=True)
class Patience:
    """What is left of the budgets of one attempt, in seconds."""

    connecting: float = CONNECT_BUDGET
    opening: float = OPENING_BUDGET
    addresses: int = 1  # left, with the one that is being tried
    each: float = SHARE
    least: float = LEAST

    @property
    def is_spent(self) -> bool:
        """No other address is tried."""
        return min(self.connecting, self.opening) < self.least

    @property
    def share(self) -> float:
        """Seconds for connecting and the greeting of the address that is being tried."""
        return max(min(self.connecting, self.opening, max(self.each, self.connecting / max(self.addresses, 1))), self.least)

    def spend(self, connecting: float, opening: float) -> None:
        """Takes off what was used: until the greeting, and until MAIL or the failure."""
        self.connecting -= connecting
        self.opening -= opening
