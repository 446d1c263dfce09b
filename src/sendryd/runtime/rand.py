"""Random numbers, as an argument. Only this module draws them."""

import random
import secrets
import string
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

_LETTERS: Final = string.ascii_letters + string.digits
_EVEN: Final = 256 // len(_LETTERS) * len(_LETTERS)  # octets below this map to letters uniformly
_OCTET_LETTERS: Final = bytes(ord(_LETTERS[octet % len(_LETTERS)]) for octet in range(256))
_SPARE_OCTETS: Final = bytes(range(_EVEN, 256))
_TOKEN_BITS: Final = 63  # signed 64-bit integers in the databases, never negative

Item = TypeVar("Item")


class Rand(Protocol):
    """The random numbers that the program needs."""

    def jitter(self) -> float:
        """A uniform number in [-1, 1)."""
        ...

    def token(self) -> int:
        """63 random bits: unique, but not secret."""
        ...

    def secret(self, length: int) -> str:
        """Random letters and digits, unguessable; log2(62) = 5.95 bits each."""
        ...

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in random order."""
        ...


class SystemRand:
    """Random numbers of the operating system for secrets, of a fast generator for the rest."""

    def __init__(self) -> None:
        self._fast = random.Random()

    def jitter(self) -> float:
        return self._fast.random() * 2 - 1

    def token(self) -> int:
        return self._fast.getrandbits(_TOKEN_BITS)

    def secret(self, length: int) -> str:
        text = ""
        while len(text) < length:
            text += secrets.token_bytes(2 * length).translate(_OCTET_LETTERS, _SPARE_OCTETS).decode("ascii")
        return text[:length]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        return self._fast.sample(items, len(items))


class SeededRand:
    """The same sequence for the same seed: for tests and replays, never for secrets."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def jitter(self) -> float:
        return self._random.random() * 2 - 1

    def token(self) -> int:
        return self._random.getrandbits(_TOKEN_BITS)

    def secret(self, length: int) -> str:
        return "".join(self._random.choice(_LETTERS) for _ in range(length))

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        return self._random.sample(items, len(items))
