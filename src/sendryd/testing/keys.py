"""DKIM keys for tests: real ones, but few for all tests of a process, as making one takes a tenth of a second."""

from functools import cache
from itertools import cycle

from sendryd.message.dkim import generate_key

_COUNT = 3  # so that domains that are made one after the other have keys of their own


@cache
def _turns() -> "cycle[tuple[bytes, str]]":
    return cycle([generate_key() for _ in range(_COUNT)])


def take_key() -> tuple[bytes, str]:
    """As `generate_key`: a private key in PEM, and the public one as a DKIM record has it."""
    return next(_turns())
