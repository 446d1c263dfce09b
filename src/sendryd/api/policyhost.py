"""The MTA-STS policies of the domains whose mail comes in here, served at their policy hosts (RFC 8461 §3.3).

Asks for no key: other mail servers fetch them. A host that is not `mta-sts.` and a verified domain gets a 404, as if there were no such page.
"""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sendryd.policy.inboundrecords import policy_host, write_policy
from sendryd.policy.mtasts import WELL_KNOWN_PATH
from sendryd.store.base import Store
from sendryd.store.errors import StoreError

_PREFIX: Final = policy_host("")


class PolicyHost:
    """Serves the policies."""

    def __init__(self, store: Store, hostname: str) -> None:
        """`hostname`: the server that the policies name."""
        self._store = store
        self._hostname = hostname.lower()

    def routes(self) -> list[Route]:
        """The route."""
        return [Route(WELL_KNOWN_PATH, self._get, methods=["GET"])]

    async def _get(self, request: Request) -> Response:
        host = (request.url.hostname or "").lower().rstrip(".")
        if not host.startswith(_PREFIX):
            raise HTTPException(404)
        name = host.removeprefix(_PREFIX)
        try:
            owner = await self._store.find_receiving_account(name)
            domain = await self._store.find_domain(owner, name) if owner is not None else None
        except StoreError:
            return PlainTextResponse("The policy cannot be read just now.\n", 503)
        if domain is None:
            raise HTTPException(404)
        return PlainTextResponse(write_policy(domain.settings.mta_sts, self._hostname))
