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
from sendryd.api.framework.docspage import POLICY, SCRIPT_PATH, STYLE_PATH, render_docs
from sendryd.api.framework.openapi import JSON, describe
from sendryd.api.framework.operation import Operation
from sendryd.api.framework.requests import encode

_KEPT: Final = "no-cache"  # kept, and asked for again each time whether it is still the same
_STATIC: Final = files("sendryd.api.framework") / "static"


class DocsHandlers:
    """What describes the operations; each document is made once, when it is first asked for."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            _route("/openapi.json", JSON, lambda: self._description),
            _route("/docs", "text/html", lambda: self._page, {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}),
            _route("/docs/", "text/html", lambda: self._page, {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}),
            _route(STYLE_PATH, "text/css", lambda: self._style),
            _route(SCRIPT_PATH, "text/javascript", lambda: self._script),
        ]

    @cached_property
    def _document(self) -> Json:
        return describe(self._operations)

    @cached_property
    def _description(self) -> bytes:
        return encode(self._document)

    @cached_property
    def _page(self) -> bytes:
        return render_docs(self._document).encode()

    @cached_property
    def _style(self) -> bytes:
        return (_STATIC / "page.css").read_bytes()

    @cached_property
    def _script(self) -> bytes:
        return (_STATIC / "page.js").read_bytes()


def _route(path: str, media_type: str, read: Callable[[], bytes], headers: Mapping[str, str] | None = None) -> Route:
    async def get(request: Request) -> Response:
        content = read()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        own = {"ETag": tag, "Cache-Control": _KEPT, **(headers or {})}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=own)
        return Response(content, media_type=media_type, headers=own)

    return Route(path, get, methods=["GET"])
