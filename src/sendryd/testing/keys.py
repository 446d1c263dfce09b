"""DKIM key pairs for tests: real ones, and few per process, because making one takes a tenth of a second."""

from functools import cache
from itertools import cycle

from sendryd.message.dkim import generate_key

_COUNT = 3  # consecutively made domains have different keys


@cache
def _turns() -> "cycle[tuple[bytes, str]]":
    return cycle([generate_key() for _ in range(_COUNT)])


def take_key() -> tuple[bytes, str]:
    """A key pair in the form of `generate_key`: a private key in PEM, and the public key of a DKIM record."""
    return next(_turns())
