"""The single door's side of the store in SQLite."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import apsw

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, ApiKeyId, MessageId
from sendryd.store.base import Answer, NewMessage
from sendryd.store.codec.mail import delivery_row, message_row
from sendryd.store.codec.values import first_id, from_ms, to_ms
from sendryd.store.errors import AlreadyAnswered, Changed, NotAllowed, NotFound
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.records import record_size
from sendryd.store.sqlite.lists.adding import find_unsubscribed
from sendryd.store.sqlite.lists.suppressed import Suppressed
from sendryd.store.sqlite.mail.batch import Rows, add_events
from sendryd.store.sqlite.mail.claims import DueScan
from sendryd.store.sqlite.mail.queries import SQL
from sendryd.store.sqlite.mail.queue import list_untried


class Accepting:
    """`AcceptStore`."""

    _database: Database
    _scan: DueScan
    _suppressed: Suppressed

    async def accept(self, message: NewMessage) -> None:
        def action(connection: apsw.Connection, rows: Rows) -> None:
            _add(connection, message, rows)

        await self._database.write(action, size=record_size(message.content))
        self._look_at(message)

    async def accept_all(self, messages: Sequence[NewMessage], answer: Answer | None, *, kept_since: datetime) -> None:
        def action(connection: apsw.Connection, rows: Rows) -> None:
            if answer is not None:
                row = connection.execute(SQL["find_answer"], (answer.account_id, answer.key, to_ms(kept_since))).fetchone()
                if row is not None:
                    raise AlreadyAnswered(_read_answer(row))
                values = (answer.account_id, answer.key, answer.fingerprint, answer.body, to_ms(answer.created_at))
                connection.execute(SQL["insert_answer"], values)
            for message in messages:
                _add(connection, message, rows)

        await self._database.write(action, size=sum(record_size(message.content) for message in messages))
        for message in messages:
            self._look_at(message)

    def _look_at(self, message: NewMessage) -> None:
        for delivery in message.deliveries:
            if delivery.state is DeliveryState.QUEUED and self._scan.is_behind(to_ms(delivery.due_at)):
                self._scan.look_again_at([delivery.domain])

    async def find_answer(self, account_id: AccountId, key: str, *, kept_since: datetime) -> Answer | None:
        row = self._database.fetch_one(SQL["find_answer"], account_id, key, to_ms(kept_since))
        return _read_answer(row) if row else None

    async def find_suppressed(self, account_id: AccountId, emails: Sequence[str]) -> frozenset[str]:
        return await self._suppressed.find(account_id, emails)

    async def find_unsubscribed(self, account_id: AccountId, list_id: str | None, emails: Sequence[str]) -> frozenset[str]:
        return find_unsubscribed(self._database, account_id, list_id, emails)

    async def amend(self, new: NewMessage, now: datetime, *, made_from: bytes | None = None) -> None:
        message = new.message
        due_at = to_ms(min(delivery.due_at for delivery in new.deliveries))

        def action(connection: apsw.Connection, rows: Rows) -> None:
            if connection.execute(SQL["get_message"], (message.account_id, message.id)).fetchone() is None:
                raise NotFound("no such message")
            waiting = list_untried(connection, message.id)
            if any(state != DeliveryState.QUEUED.value or due <= to_ms(now) for _, state, _, due, _ in waiting):
                raise NotAllowed("the message is held or due")
            if made_from is not None:
                draft = connection.execute(SQL["read_draft"], (message.id,)).fetchone()
                if draft is None or bytes(draft[0]) != made_from:
                    raise Changed("the message has been changed by somebody else at the same time: try again")
            rows.amended.append(message_row(new))
            rows.amended_contents.append((message.id, new.content))
            connection.execute(SQL["set_due"], (message.id, due_at, to_ms(message.waits_since)))
            if new.draft is None:
                connection.execute(SQL["delete_draft"], (message.id,))
            else:
                connection.execute(SQL["insert_draft"], (message.id, new.draft))

        await self._database.write(action, size=record_size(new.content))
        if self._scan.is_behind(due_at):
            self._scan.begin_anew()

    async def read_draft(self, message_id: MessageId) -> bytes | None:
        row = await self._database.read(lambda connection: connection.execute(SQL["read_draft"], (message_id,)).fetchone())
        return bytes(row[0]) if row else None

    async def count_accepted(
        self, account_id: AccountId, api_key_id: ApiKeyId | None, mode: KeyMode, since: datetime, until: datetime
    ) -> int:
        values = (account_id, api_key_id, first_id(since), mode.value, first_id(until))
        row = await self._database.read(lambda connection: connection.execute(SQL["count_accepted"], values).fetchone())
        return int(row[0]) if row else 0


def _read_answer(row: Sequence[Any]) -> Answer:
    return Answer(account_id=AccountId(row[0]), key=row[1], fingerprint=bytes(row[2]), body=bytes(row[3]), created_at=from_ms(row[4]))


def _add(connection: apsw.Connection, new: NewMessage, rows: Rows) -> None:
    message = new.message
    if new.draft is not None:
        connection.execute(SQL["insert_draft"], (message.id, new.draft))
    rows.messages.append(message_row(new))
    rows.new_contents.append((message.id, new.content))
    created = to_ms(message.created_at)
    for delivery in new.deliveries:
        rows.deliveries.append(delivery_row(new, delivery))
        add_events(rows, (delivery.id, message.id, delivery.forward_path, message.account_id, message.mode.value), delivery.events, created)
