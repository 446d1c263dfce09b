"""`SavedViewStore`."""

from sendryd.model.ids import AccountId, PersonId, SavedViewId
from sendryd.model.savedview import SavedView
from sendryd.store.codec.people import read_saved_view, saved_view_row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_rows, fetch_value
from sendryd.store.errors import Conflict, NotFound
from sendryd.store.rules import check_limit
from sendryd.store.sql.database import Database
from sendryd.store.sql.people.queries import SQL


class SavedViews:
    """Searches that people keep."""

    _database: Database

    async def add_saved_view(self, view: SavedView, *, limit: int) -> None:
        def action(connection: Connection, _batch: object) -> None:
            if not change(connection, SQL["insert_saved_view"], **saved_view_row(view)):
                raise Conflict("there is a view of this name")
            count = fetch_value(connection, SQL["count_saved_views"], account_id=view.account_id, person_id=view.person_id)
            check_limit(count, limit, "view", "remove one first")

        await self._database.write(action)

    async def list_saved_views(self, account_id: AccountId, person_id: PersonId) -> list[SavedView]:
        values = {"account_id": account_id, "person_id": person_id}
        rows = await self._database.read(lambda connection: fetch_rows(connection, SQL["list_saved_views"], **values))
        return [read_saved_view(row) for row in rows]

    async def remove_saved_view(self, account_id: AccountId, person_id: PersonId | None, view_id: SavedViewId) -> None:
        def action(connection: Connection, _batch: object) -> None:
            if not change(connection, SQL["delete_saved_view"], account_id=account_id, person_id=person_id, id=view_id):
                raise NotFound("no such view")

        await self._database.write(action)
