"""API keys: making, listing and revoking them."""

from datetime import timedelta
from typing import Final

from sendryd.accounts.api_keys import ApiKeys
from sendryd.api.api_keys.schema import ApiKey, NewApiKey, NewKeyBody, key_json, new_key_json
from sendryd.api.framework.answers import Deleted, Page, page
from sendryd.api.framework.bodies import PageQuery
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import Refused, parse_cursor
from sendryd.intake.directory import Directory
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.ids import API_KEY_PREFIX, ApiKeyId
from sendryd.policy.permissions import LiveKeyNeeded
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.store.base import AccountStore

GROUP: Final = Group(
    "API Keys", "Keys for this API and for SMTP, with scopes and modes.", {"api-keys": public_id("a key", API_KEY_PREFIX, "API key")}
)


class KeyHandlers:
    """The operations on API keys."""

    def __init__(self, store: AccountStore, keys: ApiKeys, directory: Directory) -> None:
        self._store = store
        self._keys = keys
        self._directory = directory

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(
                GROUP,
                "POST /v1/api-keys",
                self.create,
                example={"name": "shop", "scope": "sending_access", "mode": "live"},
                forbidden="A test key cannot create a live key.",
            ),
            Operation(GROUP, "GET /v1/api-keys", self.list),
            Operation(GROUP, "DELETE /v1/api-keys/{id}", self.revoke),
        ]

    async def create(self, call: Call[NewKeyBody, None]) -> NewApiKey:
        """Create an API key.

        Only this answer contains the whole key. A test key cannot create a live key: test keys leak easily.
        """
        body = call.body
        try:
            key, secret = await self._keys.by(call.author).create(
                call.key,
                body.name,
                scope=Scope(body.scope or Scope.FULL_ACCESS),
                mode=KeyMode(body.mode or KeyMode.LIVE),
                expires_in=None if body.expires_in is None else timedelta(seconds=body.expires_in),
                expires_at=body.expires_at,
            )
        except LiveKeyNeeded:
            sentence = 'make live keys, and keys are live unless "mode" is "test"'
            raise Refused(Refusal(RefusalKey.LIVE_KEY_NEEDED, sentence), details={"field": "mode"}) from None
        return new_key_json(key, secret)

    async def list(self, call: Call[None, PageQuery]) -> Page[ApiKey]:
        """List active API keys, newest first.

        The list has live and test keys, without their secrets. Revoked keys are left out.
        """
        before = parse_cursor(call.query.cursor, ApiKeyId, API_KEY_PREFIX)
        found = await self._store.page_api_keys(call.key.account_id, limit=call.query.limit, before=before)
        return page([key_json(key) for key in found.items], has_more=found.has_more)

    async def revoke(self, call: Call[None, None]) -> Deleted:
        """Revoke an API key.

        The key stops working at once. A key may revoke itself; a test key may revoke other test keys only.
        """
        await self._keys.by(call.author).revoke(call.key, ApiKeyId(call.read_id(API_KEY_PREFIX)), is_repeatable=False)
        self._directory.invalidate()
        return {"deleted": True}
