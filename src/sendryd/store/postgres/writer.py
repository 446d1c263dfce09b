"""The writer of PostgreSQL.

A commit whose answer is lost may have happened: the writer asks the server what became of the transaction, on a new connection, before it says so. The
server does not say in time where a synchronous standby hangs. The transaction is then taken for failed; if it turns out later to be committed, its new
deliveries are marked as in doubt before this process leases one of them: their client was refused and may have sent them again.

A standby that took over without the transaction gives its number to another one. Its new deliveries tell then whether it is stored; without new deliveries
it is taken for failed.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from typing_extensions import override

from sendryd.store.codec.values import to_json
from sendryd.store.drivers.postgres import PostgresConnection, TryAgain
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.errors import StoreError, StoreFull, StoreUnavailable, TookTooLong
from sendryd.store.postgres.contents import RowContents
from sendryd.store.postgres.queries import SQL
from sendryd.store.sql.batch import Batch
from sendryd.store.sql.writer import Operation, Writer, act

_IN_PROGRESS: Final = "in progress"  # as the server says it
_COMMITTED: Final = "committed"
REPEATS: Final = 5  # of a transaction that was in another one's way; each was ended so that the other goes on
ASKING_TIME: Final = 15.0  # seconds: a server that restarts or fails over is back by then, and clients still wait
ASKING_PAUSE: Final = 0.25  # seconds


class _Transaction(NamedTuple):
    """One that was about to commit."""

    number: str
    history: str
    deliveries: Sequence[int]  # new ones


class PostgresWriter(Writer):
    """`Writer` of a server's database."""

    name = "postgres"

    def __init__(
        self,
        open_connection: Callable[[], PostgresConnection],
        contents: RowContents,
        make_batch: Callable[[], Batch],
        monotonic: Callable[[], float] | None,
        sizes: Sizes = USUAL,
        *,
        note: Callable[[BaseException | None], None] = lambda _fault: None,
    ) -> None:
        """`open_connection` raises `StoreUnavailable`. `note` is called after each try to commit, with its fault."""
        super().__init__(make_batch, monotonic, sizes)
        self._open = open_connection
        self._contents = contents
        self._note = note
        self._connection: PostgresConnection | None = None
        self._unknown: list[_Transaction] = []  # taken for failed
        self._over = threading.Event()
        self.start()

    @override
    def finish(self) -> None:
        self._over.set()
        super().finish()

    def close(self) -> None:
        """Closes the connection. Call after `finish`."""
        if self._connection is not None:
            self._connection.close()

    # In the thread.

    @override
    def _try(self, batch: Sequence[Operation]) -> BaseException | None:
        fault = ""
        for _ in range(REPEATS):
            try:
                result = self._commit_once(batch)
            except TryAgain as error:
                fault = str(error)
            else:
                self._note(result)
                return result
        return StoreUnavailable(f"the transaction was ended by the server {REPEATS} times: {fault}")

    def _commit_once(self, batch: Sequence[Operation]) -> BaseException | None:
        transaction, rows = None, self._make_batch()
        try:
            connection = self._connection
            if connection is None or connection.is_broken:
                connection = self._reconnect()
            if self._unknown:
                self._doubt_committed(connection)
            self._store(connection, batch, rows)
            (current,) = connection.rows(SQL["current_transaction"], {})
            transaction = _Transaction(current["number"], current["history"], rows.new_deliveries)
            connection.commit()
            self.commits += 1
        except BaseException as error:
            if self._connection is not None:
                self._connection.roll_back()
            if isinstance(error, TookTooLong):
                error = _unavailable(error)
            if transaction and isinstance(error, StoreUnavailable) and not isinstance(error, StoreFull):
                has_committed = self._has_committed(transaction)
                if has_committed is None:
                    self._unknown.append(transaction)
                return None if has_committed else error
            if isinstance(error, TryAgain):
                raise error from None
            return error
        return None

    def _store(self, connection: PostgresConnection, batch: Sequence[Operation], rows: Batch) -> None:
        connection.begin(is_alone=any(operation.is_alone for operation in batch))
        named = {number for operation in batch for number in operation.deliveries}
        if named and len(batch) > 1:
            rows.lock(connection, sorted(named))
        act(sorted(batch, key=lambda each: each.key), connection, rows, lambda: (connection.changed, connection.faults))
        if rows.contents:
            left = rows.place(connection, self._contents.put_many(connection, rows.contents))
            self._contents.drop(connection, left)
        rows.store(connection)

    def _doubt_committed(self, connection: PostgresConnection) -> None:
        """Marks what was stored by transactions that were taken for failed."""
        for each in tuple(self._unknown):
            state = _find_state(connection, each)
            if state == _IN_PROGRESS:
                continue
            if state == _COMMITTED and each.deliveries:
                connection.begin()
                connection.change(SQL["doubt_deliveries"], {"ids": to_json(list(each.deliveries))})
                connection.commit()
            self._unknown.remove(each)

    def _has_committed(self, transaction: _Transaction) -> bool | None:
        """What became of a transaction; None if the server does not say in time. It is taken for failed then: a client repeats it, which may make a
        second copy, but nothing is lost.
        """
        asked_until = self._now() + ASKING_TIME
        while True:
            try:
                state = _find_state(self._reconnect(), transaction)
                if state != _IN_PROGRESS:
                    return state == _COMMITTED
            except (StoreError, TryAgain):
                pass
            if self._now() >= asked_until or self._over.wait(ASKING_PAUSE):
                return None

    def _reconnect(self) -> PostgresConnection:
        self._drop()
        connection = self._connection = self._open()
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _find_state(connection: PostgresConnection, transaction: _Transaction) -> str | None:
    """The state of a transaction: `_IN_PROGRESS`, `_COMMITTED`, or another value if it is not stored."""
    history = connection.value(SQL["current_history"], {})
    if history is None:  # a standby, which may be about to take over
        return _IN_PROGRESS
    if history != transaction.history:
        is_stored = bool(transaction.deliveries) and connection.value(SQL["has_delivery"], {"id": transaction.deliveries[0]})
        return _COMMITTED if is_stored else None
    try:
        state: str | None = connection.value(SQL["transaction_state"], {"number": transaction.number})
    except (StoreError, TryAgain):
        raise
    except Exception:  # a server that was restored does not know the number
        return None
    return state


def _unavailable(error: TookTooLong) -> StoreUnavailable:
    """What is a slow search for a person is a database that cannot be used for mail."""
    found = StoreUnavailable(str(error))
    found.__cause__ = error
    return found
