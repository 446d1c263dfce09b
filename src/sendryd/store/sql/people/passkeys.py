"""`PasskeyStore`."""

from sendryd.model.ids import PersonId
from sendryd.model.people import AuditEntry, Passkey, PasskeyUse, SpentChallenge
from sendryd.store.codec.people import audit_row, passkey_row, read_passkey
from sendryd.store.codec.values import to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows
from sendryd.store.errors import Changed, Conflict, LimitReached, NotFound
from sendryd.store.sql.database import Database
from sendryd.store.sql.people.queries import SQL


class Passkeys:
    """WebAuthn credentials."""

    _database: Database

    async def list_passkeys(self, person_id: PersonId) -> list[Passkey]:
        rows = await self._database.read(lambda connection: fetch_rows(connection, SQL["list_passkeys"], person_id=person_id))
        return [read_passkey(row) for row in rows]

    async def find_passkey(self, credential_id: bytes) -> Passkey | None:
        row = await self._database.read(lambda connection: fetch_row(connection, SQL["get_passkey"], credential_id=credential_id))
        return None if row is None else read_passkey(row)

    async def add_passkey(self, passkey: Passkey, spends: SpentChallenge, audit: AuditEntry, *, limit: int) -> None:
        def action(connection: Connection, _batch: object) -> None:
            spend_challenge(connection, spends)
            if len(fetch_rows(connection, SQL["list_passkeys"], person_id=passkey.person_id)) >= limit:
                raise LimitReached(limit, "passkey", "remove one that you do not use")
            if not change(connection, SQL["insert_passkey"], **passkey_row(passkey)):
                raise Conflict("this passkey is known already")
            change(connection, SQL["insert_audit"], **audit_row(audit))

        await self._database.write(action)

    async def remove_passkey(self, person_id: PersonId, credential_id: bytes, audit: AuditEntry) -> None:
        def action(connection: Connection, _batch: object) -> None:
            if not change(connection, SQL["delete_passkey"], person_id=person_id, credential_id=credential_id):
                raise NotFound("the person has no such passkey")
            change(connection, SQL["insert_audit"], **audit_row(audit))

        await self._database.write(action)


def spend_challenge(connection: Connection, spends: SpentChallenge) -> None:
    """Notes that a challenge was answered. Raises `Changed` if it was before."""
    if not change(connection, SQL["spend_challenge"], hash=spends.hash, expires_at=to_ms(spends.expires_at)):
        raise Changed("the challenge was answered before")


def use_passkey(connection: Connection, use: PasskeyUse) -> None:
    """Notes the use of a passkey. Raises `Changed` if it is gone, or its counter has not grown, as that of a copy does not."""
    values = {"credential_id": use.credential_id, "sign_count": use.sign_count, "used_at": to_ms(use.used_at)}
    if not change(connection, SQL["use_passkey"], **values):
        raise Changed("the passkey is gone, or its counter has not grown")
