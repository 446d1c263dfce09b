"""Warm-up: how many recipients a new address may send to in a day, for each site. Pure.

Providers judge an address by its history, and one that sends much on its first day looks like a stolen machine. The amount doubles each day from 50, which
their advice to senders has in common; after two weeks there is no limit.
"""

from datetime import date
from typing import Final

from sendryd.policy.providers import OTHERS, provider_of

RAMP: Final = tuple(50 * 2**day for day in range(14))  # recipients of a site on each day: 50, 100, 200, 400, …, 409,600


def day_cap(warmup_from: date | None, day: date) -> int | None:
    """Recipients of one site that an address may send to on a UTC day; None: any number. `warmup_from` is the first day of its ramp: before that it
    sends nothing.

    >>> day_cap(date(2027, 3, 1), date(2027, 3, 3)), day_cap(date(2027, 3, 1), date(2027, 2, 28)), day_cap(date(2027, 3, 1), date(2027, 3, 15))
    (200, 0, None)
    """
    if warmup_from is None:
        return None
    number = (day - warmup_from).days
    if number < 0:
        return 0
    return RAMP[number] if number < len(RAMP) else None


def site_of(host: str, domain: str) -> str:
    """What counts as one site: the mailbox provider of a recipient domain with this mail server, else the domain itself."""
    provider = provider_of(host, domain)
    return domain if provider == OTHERS else provider
