"""`Line`: LISTEN and NOTIFY on a connection of its own, in the event loop.

A server notifies the sessions of the same database after the commit of who rings. What is rung while a connection is away is lost: who waits polls too.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sendryd.store.drivers.postgres import Target, connect, translated
from sendryd.store.errors import StoreUnavailable, TookTooLong

if TYPE_CHECKING:
    import asyncpg

CHANNEL: Final = "sendryd"
TIMEOUT: Final = 5.0  # seconds; a server that is alive answers in milliseconds
RING: Final = "SELECT pg_notify($1, kind) FROM unnest($2::text[]) AS kind"


async def open_line(target: Target, heard: Callable[[str], None], ended: Callable[[], None]) -> "PostgresLine":
    """Connects and listens. Raises `StoreUnavailable`."""
    connection = await connect(target)
    own = connection.get_server_pid()

    def hear(_connection: object, process: int, _channel: str, kind: object) -> None:
        if process != own:
            heard(str(kind))

    try:
        with translated(target):
            await connection.add_listener(CHANNEL, hear)
    except BaseException:
        connection.terminate()
        raise
    connection.add_termination_listener(lambda _: ended())
    return PostgresLine(connection, target)


class PostgresLine:
    """`Line`."""

    def __init__(self, connection: "asyncpg.Connection[Any]", target: Target) -> None:
        self._connection = connection
        self._target = target

    async def ring(self, kinds: Iterable[str]) -> None:
        try:
            with translated(self._target):
                await self._connection.execute(RING, CHANNEL, sorted(kinds), timeout=TIMEOUT)
        except TookTooLong as error:
            raise StoreUnavailable(str(error)) from error

    def close(self) -> None:
        with suppress(Exception):
            self._connection.terminate()
