"""The mail servers of providers that have lately talked to us of mail.

Whoever sets up a domain names its mail servers, and so may name one in a provider's zone that takes no mail. What fails there says nothing of the
provider, as long as others of its servers work.
Limits: providers, servers of each; what was not used for longest is forgotten.
"""

from collections import OrderedDict
from collections.abc import Collection
from typing import Final

RECENT: Final = 3600.0  # seconds after a success
MAX_SITES: Final = 1_000
MAX_HOSTS: Final = 1_000


class GoodHosts:
    """Servers with a recent success, by site. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._good: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<GoodHosts of {len(self._good)} sites>"

    def note_success(self, site: str, hosts: Collection[str], now: float) -> None:
        """These servers talked to us of mail."""
        if not hosts:
            return
        good = self._good.setdefault(site, OrderedDict())
        self._good.move_to_end(site)
        if len(self._good) > MAX_SITES:
            self._good.popitem(last=False)
        for host in hosts:
            good[host] = now
            good.move_to_end(host)
        while len(good) > MAX_HOSTS:
            good.popitem(last=False)

    def speak_for(self, site: str, hosts: Collection[str], now: float) -> bool:
        """Whether a failure at these servers tells of the site: one of them has succeeded lately, or none of the site's has."""
        good = self._good.get(site)
        if not good or now - next(reversed(good.values())) > RECENT:
            return True
        return any(now - good[host] <= RECENT for host in hosts if host in good)
