"""The description of the API, for programs at `/openapi.json` and for people at `/docs`. Neither asks for a key: both say what the source says."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sendryd.api.framework.answers import Json
from sendryd.api.framework.docspage import render_docs
from sendryd.api.framework.openapi import JSON, describe
from sendryd.api.framework.operation import Operation
from sendryd.api.framework.requests import encode
from sendryd.web.headers import SCRIPTED_PAGE, page_headers
from sendryd.web.static import StaticFiles, is_unchanged

STATIC_PREFIX: Final = "/docs/static/"
_KEPT: Final = "no-cache"  # kept, and asked for again each time whether it is still the same


class DocsHandlers:
    """What describes the operations; each document is made once, when it is first asked for."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._static = StaticFiles(files("sendryd.api.framework") / "static", STATIC_PREFIX)

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        page = page_headers(SCRIPTED_PAGE, cache=_KEPT)
        return [
            _route("/openapi.json", JSON, lambda: self._description, {"Cache-Control": _KEPT}),
            _route("/docs", "text/html", lambda: self._page, page),
            _route("/docs/", "text/html", lambda: self._page, page),
            self._static.route(),
        ]

    @cached_property
    def _document(self) -> Json:
        return describe(self._operations)

    @cached_property
    def _description(self) -> bytes:
        return encode(self._document)

    @cached_property
    def _page(self) -> bytes:
        paths = {"style_path": self._static.path("page.css"), "script_path": self._static.path("page.js")}
        return render_docs(self._document, **paths).encode()


def _route(path: str, media_type: str, read: Callable[[], bytes], headers: Mapping[str, str]) -> Route:
    async def get(request: Request) -> Response:
        content = read()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        own = {**headers, "ETag": tag}
        if is_unchanged(request, tag):
            return Response(status_code=304, headers=own)
        return Response(content, media_type=media_type, headers=own)

    return Route(path, get, methods=["GET"])
