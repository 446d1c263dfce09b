"""The routes of the dashboard, and what happens around each page: whose it is, whether it may, what goes wrong.

A page is declared in the module that shows it. This module asks for the session, the right, the origin and the token before any page runs, and
answers a failure with a page that has the request's id.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sendryd.dashboard.access import FORM_COOKIE, Access, Visitor, client_of
from sendryd.dashboard.elevation import proven
from sendryd.dashboard.live import Source, Streams, as_of_page, live_address
from sendryd.dashboard.visit import Needs, Visit, headers
from sendryd.policy.rights import Right
from sendryd.runtime.log import get_logger
from sendryd.store.errors import StoreError
from sendryd.web.compression import compress_page
from sendryd.web.forms import FormTooLarge, read_form

MAX_FORM: Final = 2 * 1024 * 1024  # octets: a template with its text part
MAX_FIELDS: Final = 2_000  # a list of chosen rows
MAX_TARGET: Final = 200  # characters of a path in the audit
FORM_SECRET_LENGTH: Final = 43
LIVE: Final = "/live"
SET_UP_FACTOR: Final = "/me/factor"  # the only page for those without the second factor that their account requires

log = get_logger("dashboard")

Show = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One path. `get` shows it, `post` changes something; `needs` is asked of who gets, `needs_to_change` of who posts."""

    path: str
    get: Show | None = None
    post: Show | None = None
    needs: Right | None = Right.SEE  # None: open without signing in
    needs_to_change: Right | None = Right.WORK
    live: Source | None = None  # what of it follows the store
    proof: Callable[[Visit], bool] | None = None  # whether a change asks its person for a fresh proof of who they are
    proof_to_get: bool = False  # the same for a page that gives away much: an export
    is_foreign: bool = False  # strangers' HTML, which may have an origin of its own


def always(_visit: Visit) -> bool:
    """Each change asks for the proof."""
    return True


def routes(needs: Needs, pages: Sequence[Page], streams: Streams) -> list[Route]:
    """The routes of all pages, their streams and static files, and the page for what is not there."""
    frame = _Frame(needs)
    every = [Page(path=LIVE, get=frame.live({page.live.page: page for page in pages if page.live}, streams)), *pages]
    made = [Route(page.path, frame.handler(page), methods=_methods(page)) for page in every]
    return [*made, needs.pages.static.route(), Route("/favicon.ico", frame.favicon), Route("/{path:path}", frame.missing)]


def _methods(page: Page) -> list[str]:
    return [*(["GET"] if page.get else []), *(["POST"] if page.post else [])]


class _Frame:
    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    @property
    def _access(self) -> Access:
        return self._needs.access

    def handler(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """What answers a request for a page."""

        async def handle(request: Request) -> Response:
            if not (self._access.may_show_foreign(request) if page.is_foreign else self._access.is_ours(request)):
                return _refuse(421, "This address is not the dashboard's: open the one that sendryd serve prints.")
            try:
                return await compress_page(request, await self._serve(page, request))
            except ClientDisconnect:
                return Response(status_code=400)
            except HTTPException:
                raise
            except StoreError as error:
                log.error("page_failed", path=page.path, exc_info=error)
                return await self._failed(request, 503)
            except Exception as error:
                log.error("page_failed", path=page.path, exc_info=error)
                return await self._failed(request, 500)

        return handle

    async def _serve(self, page: Page, request: Request) -> Response:
        visitor = await self._access.find(request)
        if visitor is None and page.needs is not None:
            return self._to_sign_in(request)
        if visitor is not None and visitor.signed_in.must_add_factor and page.needs is not None and page.path != SET_UP_FACTOR:
            return self._to_factor(request)
        right = page.needs if request.method in {"GET", "HEAD"} else page.needs_to_change
        if page.needs is not None and right is not None and visitor is not None and not visitor.may(right):
            await self._note_refused(request, visitor)
            return await self._missing(Visit(self._needs, request, visitor, visitor.secret), 404 if request.method != "POST" else 403)
        secret = visitor.secret if visitor else request.cookies.get(FORM_COOKIE) or self._needs.rand.secret(FORM_SECRET_LENGTH)
        counts = await self._needs.counts.of(visitor.view) if visitor else {}
        visit = Visit(self._needs, request, visitor, secret, live=live_address(page.live, request) if page.live else "", counts=counts)
        if request.method == "POST":
            try:
                fields = await read_form(request, max_size=MAX_FORM, max_fields=MAX_FIELDS)
            except FormTooLarge:
                return _refuse(413, "The form is larger than 2 MiB.")
            if not self._access.made_by_our_page(request, secret, fields):
                return _refuse(403, "This change did not come from a page of the dashboard: open the page again and repeat it.")
            posted = replace(visit, fields=fields, live="")
            asks = page.proof is not None and visitor is not None and page.proof(posted)
            answer = await (proven(posted, page.post) if asks else page.post(posted)) if page.post else _refuse(405, "")
        elif page.proof_to_get and visitor is not None and not visit.is_elevated:
            answer = visit.prove_first(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        else:
            answer = await page.get(visit) if page.get else _refuse(405, "")
        if visitor is None:
            secure = self._access.is_encrypted(request)
            answer.set_cookie(FORM_COOKIE, secret, path="/", secure=secure, httponly=True, samesite="strict")
        return answer

    def live(self, pages: Mapping[str, Page], streams: Streams) -> Show:
        """What answers a request for a stream."""

        async def show(visit: Visit) -> Response:
            page = pages.get(visit.query("page"))
            if page is None or page.live is None or not _may_see(page, visit.me):
                return _refuse(404, "There is no such page, or it is not live.")

            async def is_allowed() -> bool:
                visitor = await self._access.find(visit.request)
                return visitor is not None and _may_see(page, visitor) and visitor.signed_in.membership == visit.me.signed_in.membership

            return streams.open(page.live, as_of_page(visit), is_allowed)

        return show

    async def _note_refused(self, request: Request, visitor: Visitor) -> None:
        """The audit names who tried what their role does not allow."""
        person, account_id = visitor.signed_in.person, visitor.signed_in.membership.account_id
        target = f"{request.method} {request.url.path}"[:MAX_TARGET]
        await self._needs.audit.add(account_id, person.email, client_of(request), "access.refused", target)

    def _to_sign_in(self, request: Request) -> Response:
        if request.url.path == LIVE:
            return _refuse(401, "You are signed out.")
        if request.method == "POST":
            return _refuse(403, "You are signed out: sign in, and repeat the change.")
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = "/sign-in" if path == "/" else f"/sign-in?next={quote(path, safe='')}"
        return RedirectResponse(target, 303, headers=headers())

    @staticmethod
    def _to_factor(request: Request) -> Response:
        if request.method == "POST" or request.url.path == LIVE:
            return _refuse(403, "This account requires a second factor: set yours up first.")
        return RedirectResponse(SET_UP_FACTOR, 303, headers=headers())

    async def missing(self, request: Request) -> Response:
        """A path that no page has: a page for browsers and whoever is signed in, else the error of the API."""
        if not self._access.is_ours(request):
            raise HTTPException(404)
        visitor = await self._access.find(request)
        if visitor is None and "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return await self._missing(Visit(self._needs, request, visitor, visitor.secret if visitor else ""), 404)

    async def _missing(self, visit: Visit, status: int) -> Response:
        return visit.show("missing.html", "missing", {}, status=status)

    async def _failed(self, request: Request, status: int) -> Response:
        visit = Visit(self._needs, request, None, "")
        return visit.show("failed.html", "failed", {"request_id": request.scope.get("sendryd.request_id", "")}, status=status)

    async def favicon(self, _request: Request) -> Response:
        """Browsers ask for it by themselves."""
        return RedirectResponse(self._needs.pages.static.path("icon.svg"), 302)


def _may_see(page: Page, visitor: Visitor) -> bool:
    return page.needs is None or (visitor.may(page.needs) and not visitor.signed_in.must_add_factor)


def _refuse(status: int, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status, headers=headers())
