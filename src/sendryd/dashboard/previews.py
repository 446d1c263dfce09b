"""Framed previews of templates, each under a random name of 256 bits. A frame sends no cookie, so the name alone opens the preview.

They are in the memory of this process, within `MAX_OCTETS`: the oldest go first.
"""

from collections import OrderedDict
from typing import Final

from sendryd.runtime.clock import Clock
from sendryd.runtime.rand import Rand

MAX_OCTETS: Final = 16 * 1024 * 1024
LIFETIME: Final = 600.0  # seconds
NAME_LENGTH: Final = 43  # letters and digits: 256 bits


class Previews:
    """Keeps previews for ten minutes."""

    def __init__(self, clock: Clock, rand: Rand) -> None:
        self._clock = clock
        self._rand = rand
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._octets = 0

    def keep(self, document: bytes) -> str:
        """Keeps a document; gives its name."""
        name, now = self._rand.secret(NAME_LENGTH), self._clock.monotonic()
        self._kept[name] = (now, document)
        self._octets += len(document)
        while self._octets > MAX_OCTETS or now - next(iter(self._kept.values()), (now, b""))[0] > LIFETIME:
            self._octets -= len(self._kept.popitem(last=False)[1][1])
        return name

    def find(self, name: str) -> bytes | None:
        """The document; None if it has gone."""
        at, document = self._kept.get(name, (0.0, b""))
        return document if name in self._kept and self._clock.monotonic() - at <= LIFETIME else None
