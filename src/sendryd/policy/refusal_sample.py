"""Which refusals of the SMTP door are stored: a few of each address, the others are counted. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sendryd.policy.network import network_of

BURST: Final = 5  # stored at once: an app that starts with a wrong key or domain is seen with its first recipients
RATE: Final = 1.0  # stored in a second from then on: a loop that retries fills no table
MAX_ADDRESSES: Final = 10_000  # addresses kept; the oldest is dropped, so that a flood of addresses costs no memory


@dataclass(slots=True)
class _Known:
    tokens: float
    at: float
    last: int  # the number of the refusal that was stored last


class RefusalSample:
    """A token bucket for each address (IPv6: its /64)."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def note(self, address: str, number: int, now: float) -> int | None:
        """None if the refusal with this number is to be stored; else the number of the stored one that it is counted with. `now` is in monotonic
        seconds.
        """
        network = network_of(address)
        known = self._known.get(network)
        if known is None:
            known = self._known[network] = _Known(BURST, now, number)
            while len(self._known) > MAX_ADDRESSES:
                self._known.popitem(last=False)
        self._known.move_to_end(network)
        known.tokens = min(float(BURST), known.tokens + (now - known.at) * RATE)
        known.at = now
        if known.tokens < 1:
            return known.last
        known.tokens -= 1
        known.last = number
        return None
