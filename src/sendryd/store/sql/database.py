"""The database as the parts of the store see it: one connection writes, many read, in any engine."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

from sendryd.store.codec.reading import Row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import change, fetch_rows, fetch_value
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.sql.place import Place

Result = TypeVar("Result")


class Database(ABC):
    """Transactions and look-ups. All methods raise `StoreUnavailable` if the database cannot be read or written."""

    sizes: Sizes
    unreadable: Unreadable

    @property
    def plain(self) -> "Database":
        """The database for writes that only prepare a change: an audited one keeps its entry for the change itself."""
        return self

    @abstractmethod
    async def find_rows(self, statement: Statement, /, **values: Any) -> list[Row]:
        """The rows of a short look-up by key."""

    async def find_row(self, statement: Statement, /, **values: Any) -> Row | None:
        """The first row of a short look-up by key."""
        rows = await self.find_rows(statement, **values)
        return rows[0] if rows else None

    @abstractmethod
    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Runs a longer look-up in a thread, in one read transaction."""

    @abstractmethod
    async def search(self, work: Callable[[Connection], Result]) -> Result:
        """Runs a look-up that may take long in a thread, in one read transaction. Raises `TookTooLong`."""

    @abstractmethod
    async def write(
        self, action: Callable[[Connection, Any], Result], *, is_alone: bool = True, key: str = "", deliveries: Sequence[int] = ()
    ) -> Result:
        """Runs an action in the writer's next transaction; returns once it is committed. The second argument of the action is the batch.

        With `is_alone` no other process changes anything between what the action reads and what it writes. Actions that need no such
        promise do without: processes that share a server then do not wait for one another.

        Two transactions of processes that share a server must not wait for each other. So a batch first locks the `deliveries` that its actions name, in
        the order of their ids, and runs the actions in the order of their keys: one that waits for others' action of the same kind has a `key`.
        """

    @abstractmethod
    async def write_contents(
        self, action: Callable[[Connection, Any], Result], sizes: Sequence[int], *, is_alone: bool = False, key: str = ""
    ) -> Result:
        """Does what `write` does, with new contents of these sizes, in octets, in the batch. Raises `StoreFull`."""

    @abstractmethod
    def check_room(self, size: int) -> None:
        """Raises `StoreFull` if there is no room for content of this size."""

    @abstractmethod
    async def read_content(self, place: Place) -> bytes:
        """A whole content, verified. Raises `ContentDamaged`."""

    @abstractmethod
    def stream_content(self, place: Place) -> AsyncGenerator[bytes, None]:
        """A content in pieces of at most 64 KiB, verified at the end. Raises `ContentDamaged`."""

    @abstractmethod
    def drop_contents(self, connection: Connection, places: Sequence[Place]) -> None:
        """Releases contents in the transaction that removes the last mention of each."""

    @abstractmethod
    async def tidy(self) -> int:
        """Frees what released contents have taken. Returns how many pieces were freed."""

    async def read_rows(self, statement: Statement, /, **values: Any) -> list[Row]:
        """The rows of a longer look-up."""
        return await self.read(lambda connection: fetch_rows(connection, statement, **values))

    async def read_value(self, statement: Statement, /, **values: Any) -> Any:
        """The only value of a longer look-up; None if there is no row."""
        return await self.read(lambda connection: fetch_value(connection, statement, **values))

    async def list_rows(self, statement: Statement, prefix: str, /, **values: Any) -> list[Row | None]:
        """The rows of a longer look-up, with None in place of a row whose text is not UTF-8. `prefix` names its kind in the report of the row."""
        return await self.read(lambda connection: self.unreadable.fetch(connection, statement, prefix, values))

    async def search_rows(self, statement: Statement, prefix: str, /, **values: Any) -> list[Row | None]:
        """The rows of a list that may take long, with None in place of a row whose text is not UTF-8. Raises `TookTooLong`."""
        return await self.search(lambda connection: self.unreadable.fetch(connection, statement, prefix, values))

    async def change(self, statement: Statement, /, **values: Any) -> int:
        """Runs one statement as a transaction. Returns how many rows it has changed."""
        return await self.write(lambda connection, _: change(connection, statement, **values), is_alone=False)
