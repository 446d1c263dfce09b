"""Accepting messages."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, ApiKeyId, MessageId
from sendryd.store.base import Answer, NewMessage
from sendryd.store.codec.answers import answer_row, read_answer
from sendryd.store.codec.deliveries import delivery_row, read_waiting
from sendryd.store.codec.events import EventSubject
from sendryd.store.codec.messages import message_row
from sendryd.store.codec.values import first_id, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows
from sendryd.store.errors import AlreadyAnswered, NotFound
from sendryd.store.rules import check_amendable, check_source_request
from sendryd.store.sql.database import Database
from sendryd.store.sql.lists.adding import find_unsubscribed
from sendryd.store.sql.lists.suppressed import Suppressed
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.claims import DueScan
from sendryd.store.sql.mail.queries import SQL


class Accepting:
    """`AcceptStore`."""

    _database: Database
    _scan: DueScan
    _suppressed: Suppressed

    async def accept(self, message: NewMessage) -> None:
        def action(connection: Connection, rows: Rows) -> None:
            _add(connection, message, rows)

        await self._database.write_contents(action, [len(message.content)])
        self._look_at(message)

    async def accept_all(self, messages: Sequence[NewMessage], answer: Answer | None, *, kept_since: datetime) -> None:
        def action(connection: Connection, rows: Rows) -> None:
            if answer is not None:
                _keep_answer(connection, answer, to_ms(kept_since))
            for message in messages:
                _add(connection, message, rows)

        key = f"{answer.account_id} {answer.key}" if answer else ""
        await self._database.write_contents(action, [len(message.content) for message in messages], key=key)
        for message in messages:
            self._look_at(message)

    def _look_at(self, message: NewMessage) -> None:
        for delivery in message.deliveries:
            if delivery.state is DeliveryState.QUEUED and self._scan.is_behind(to_ms(delivery.due_at)):
                self._scan.look_again_at([delivery.domain])

    async def find_answer(self, account_id: AccountId, key: str, *, kept_since: datetime) -> Answer | None:
        row = await self._database.find_row(SQL["find_answer"], account_id=account_id, key=key, kept_since=to_ms(kept_since))
        return read_answer(row) if row else None

    async def find_suppressed(self, account_id: AccountId, emails: Sequence[str]) -> frozenset[str]:
        return await self._suppressed.find(account_id, emails)

    async def find_unsubscribed(self, account_id: AccountId, list_id: str | None, emails: Sequence[str]) -> frozenset[str]:
        return await find_unsubscribed(self._database, account_id, list_id, emails)

    async def amend(self, new: NewMessage, now: datetime, *, made_from: bytes | None = None) -> None:
        message = new.message
        due_at = to_ms(min(delivery.due_at for delivery in new.deliveries))

        def action(connection: Connection, rows: Rows) -> None:
            if fetch_row(connection, SQL["get_message"], account_id=message.account_id, id=message.id) is None:
                raise NotFound("no such message")
            check_amendable([read_waiting(row) for row in fetch_rows(connection, SQL["lock_states"], message_id=message.id)], now)
            if made_from is not None:
                source = fetch_row(connection, SQL["read_source_request"], message_id=message.id)
                check_source_request(bytes(source["content"]) if source else None, made_from)
            rows.amended.append(message_row(message))
            rows.amended_contents.append((message.id, new.content))
            values = {"due_at": due_at, "created_at": to_ms(message.waits_since), "class": new.priority.value}
            change(connection, SQL["amend_deliveries"], message_id=message.id, **values)
            if new.source_request is None:
                change(connection, SQL["delete_source_request"], message_id=message.id)
            else:
                change(connection, SQL["insert_source_request"], message_id=message.id, content=new.source_request)

        await self._database.write_contents(action, [len(new.content)], is_alone=True)
        if self._scan.is_behind(due_at):
            self._scan.restart()

    async def read_source_request(self, message_id: MessageId) -> bytes | None:
        content = await self._database.read_value(SQL["read_source_request"], message_id=message_id)
        return None if content is None else bytes(content)

    async def count_accepted(
        self, account_id: AccountId, api_key_id: ApiKeyId | None, mode: KeyMode, since: datetime, until: datetime
    ) -> int:
        values = {"account_id": account_id, "api_key_id": api_key_id, "mode": mode.value}
        return int(await self._database.read_value(SQL["count_accepted"], **values, first=first_id(since), last=first_id(until)))


def _keep_answer(connection: Connection, answer: Answer, kept_since: int) -> None:
    """Stores an answer. Raises `AlreadyAnswered` if another request has, of any process: the store waits for one that is about to."""
    values = {"account_id": answer.account_id, "key": answer.key, "kept_since": kept_since}
    row = fetch_row(connection, SQL["find_answer"], **values)
    if row is None and not change(connection, SQL["insert_answer"], **answer_row(answer), kept_since=kept_since):
        row = fetch_row(connection, SQL["find_answer"], **values)
    if row is not None:
        raise AlreadyAnswered(read_answer(row))


def _add(connection: Connection, new: NewMessage, rows: Rows) -> None:
    message = new.message
    if new.source_request is not None:
        change(connection, SQL["insert_source_request"], message_id=message.id, content=new.source_request)
    rows.messages.append(message_row(message))
    rows.new_contents.append((message.id, new.content))
    created = to_ms(message.created_at)
    for delivery in new.deliveries:
        rows.deliveries.append(delivery_row(new, delivery))
        subject = EventSubject(delivery.id, message.id, delivery.forward_path, message.account_id, message.mode.value)
        rows.add_events(subject, delivery.events, created)
