"""The suppression list."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from sendryd.accounts.suppressions import BadAddress, Suppressions
from sendryd.api.framework.answers import Deleted, Page
from sendryd.api.framework.group import Group, PathParameter
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, parse_cursor, read_word
from sendryd.api.suppressions.schema import (
    COLUMNS,
    REASON_WORDS,
    ExportQuery,
    Import,
    ImportedSuppressions,
    NewSuppression,
    Suppression,
    SuppressionsQuery,
    csv_row,
    suppression_json,
    suppressions_page,
)
from sendryd.model.ids import SUPPRESSION_PREFIX, AccountId, SuppressionId
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.address_key import normalise_address
from sendryd.store.base import Store
from sendryd.web.tables import csv_text

GROUP: Final = Group(
    "Suppression", "Addresses that get no emails.", {"suppression": PathParameter("An address.", "user@example.org", "Suppressed address")}
)
MAX_IMPORT_BODY: Final = 4 * 1024 * 1024  # octets: 10,000 of the longest addresses with their reasons
EXPORT_STEP: Final = 1000  # rows read at once: some 10 ms, and no more than that in memory


class SuppressionHandlers:
    """The operations on suppressions."""

    def __init__(self, store: Store, lists: Suppressions) -> None:
        self._store = store
        self._lists = lists

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(GROUP, "GET /v1/suppression", self.list),
            Operation(
                GROUP, "POST /v1/suppression", self.add, is_live_only=True, example={"email": "user@example.org", "reason": "manual"}
            ),
            Operation(
                GROUP,
                "POST /v1/suppression/import",
                self.import_,
                is_live_only=True,
                max_body=MAX_IMPORT_BODY,
                example={"emails": ["a@example.org", "b@example.org"], "reason": "complaint"},
            ),
            Operation(
                GROUP, "GET /v1/suppression/export", self.export, media={"text/csv": "The list as CSV; the first line names the columns."}
            ),
            Operation(GROUP, "DELETE /v1/suppression/{email}", self.remove, is_live_only=True),
        ]

    async def list(self, call: Call[None, SuppressionsQuery]) -> Page[Suppression]:
        """List suppressed addresses, newest first.

        A suppressed address gets no mail from this account.
        """
        query = call.query
        before = parse_cursor(query.cursor, SuppressionId, SUPPRESSION_PREFIX)
        found = await self._store.page_suppressions(
            call.key.account_id,
            text=normalise_address(query.q) if query.q else None,
            reason=read_word("reason", query.reason, REASON_WORDS),
            limit=query.limit,
            before=before,
        )
        return suppressions_page(found.items, has_more=found.has_more)

    async def add(self, call: Call[NewSuppression, None]) -> Suppression:
        """Suppress an address.

        An address that is already suppressed keeps its reason and time.
        """
        body = call.body
        return suppression_json(
            await self._lists.by(call.author).suppress(call.key.account_id, body.email, REASON_WORDS[body.reason or "manual"])
        )

    async def import_(self, call: Call[Import, None]) -> ImportedSuppressions:
        """Suppress up to 10,000 addresses.

        One invalid address refuses the whole import. `inserted` counts the new addresses.
        """
        body = call.body
        default = body.reason or "manual"
        emails, pairs = body.emails or [], body.suppressions or []
        entries = [(email, REASON_WORDS[default]) for email in emails]
        entries += [(each.email, REASON_WORDS[each.reason or default]) for each in pairs]
        try:
            inserted = await self._lists.by(call.author).import_suppressions(call.key.account_id, entries)
        except BadAddress as error:
            place = error.index - len(emails)
            field = f"emails.{error.index}" if place < 0 else f"suppressions.{place}.email"
            raise invalid(field, f"{field}: {error}") from None
        return {"inserted": inserted, "total": len(entries)}

    async def export(self, call: Call[None, ExportQuery]) -> Response:
        """Download the suppression list as CSV.

        The server streams the whole list.
        """
        query = call.query
        rows = self._rows(
            call.key.account_id, normalise_address(query.q) if query.q else None, read_word("reason", query.reason, REASON_WORDS)
        )
        headers = {"Content-Disposition": 'attachment; filename="suppressions.csv"'}
        return StreamingResponse(rows, media_type="text/csv", headers=headers)

    async def _rows(self, account_id: AccountId, text: str | None, reason: SuppressionReason | None) -> AsyncIterator[str]:
        yield csv_text([COLUMNS])
        before: SuppressionId | None = None
        has_more = True
        while has_more:
            found = await self._store.page_suppressions(account_id, text=text, reason=reason, limit=EXPORT_STEP, before=before)
            yield csv_text([csv_row(each) for each in found.items])
            has_more, before = found.has_more, found.items[-1].id if found.items else None

    async def remove(self, call: Call[None, None]) -> Deleted:
        """Lift the suppression of an address.

        The address gets mail again.
        """
        await self._lists.by(call.author).lift_suppression(call.key.account_id, call.params["email"])
        return {"deleted": True}
