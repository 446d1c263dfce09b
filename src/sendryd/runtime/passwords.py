"""Hashing passwords with argon2id, a few at once: each hash takes 19 MiB and about 25 ms of a core.

When too many are asked for, the others wait for `WAIT_TIMEOUT`, then `PasswordsBusy` is raised: a flood of sign-ins does not use up the memory.
Standards: RFC 9106 (argon2), parameters as OWASP's Password Storage Cheat Sheet gives them.
"""

import asyncio
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
AT_ONCE: Final = 2  # 38 MiB together
WAIT_TIMEOUT: Final = 2.0  # seconds in the line
COMMON: Final = 10_000  # of the most common passwords

_hasher: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


class PasswordsBusy(Exception):
    """Too many passwords are being checked at once."""


class Passwords:
    """Makes and checks hashes in threads."""

    def __init__(self, *, wait_timeout: float = WAIT_TIMEOUT) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._wait_timeout = wait_timeout
        self._decoy = ""

    async def hash(self, password: str) -> str:
        """The hash in its encoded form, with a salt of its own. Raises `PasswordsBusy`."""
        await self._enter()
        try:
            return await asyncio.to_thread(_hasher.hash, _octets(password))
        finally:
            self._places.release()

    async def verify(self, encoded: str, password: str) -> bool:
        """Whether the password is the one. An empty hash takes as long as any, and is never right. Raises `PasswordsBusy`."""
        if not encoded and not self._decoy:
            self._decoy = await self.hash("no password has this hash")
        await self._enter()
        try:
            is_right = await asyncio.to_thread(_verify, encoded or self._decoy, _octets(password))
        finally:
            self._places.release()
        return is_right and bool(encoded)

    @staticmethod
    def is_outdated(encoded: str) -> bool:
        """Whether the hash was made with other parameters: renew it at the next sign-in."""
        return _hasher.check_needs_rehash(encoded)

    async def _enter(self) -> None:
        try:
            async with asyncio.timeout(self._wait_timeout):
                await self._places.acquire()
        except TimeoutError:
            raise PasswordsBusy from None


@cache
def common_passwords() -> frozenset[str]:
    """The most common passwords, in lower case. The first call takes some tens of milliseconds."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:COMMON])


def _verify(encoded: str, password: bytes) -> bool:
    try:
        return _hasher.verify(encoded, password)
    except (VerificationError, InvalidHashError):
        return False


def _octets(password: str) -> bytes:
    """As UTF-8. A lone surrogate, which a form can hold, becomes a question mark."""
    return password.encode("utf-8", "replace")
