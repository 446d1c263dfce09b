"""Static files of a package, served under names with a hash of their content, so that browsers cache them forever.

Reads: all files of the folder, once. Other paths, also those of an earlier release, are answered with 404.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sendryd.web.compression import accepts_gzip, pack
from sendryd.web.headers import STATIC_HEADERS

KEEP_FOR_GOOD: Final = "public, max-age=31536000, immutable"  # a year, the maximum that caches respect
BEST: Final = 9  # of gzip: done once, at the start
WORTH_IT: Final = 0.9  # fonts and pictures are compressed already
HASH_LENGTH: Final = 16  # hexadecimal digits: 64 bits, far more than a few dozen files need
MEDIA_TYPES: Final = {
    "css": "text/css",
    "ico": "image/x-icon",
    "js": "text/javascript",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "webp": "image/webp",
    "woff2": "font/woff2",
}


_URL: Final = re.compile(rb"url\(([\w.-]+)\)")


class UnknownMediaType(Exception):
    """A file in a static folder whose ending has no media type here."""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    packed: bytes | None  # by gzip; None where that saves nothing
    media_type: str
    tag: str  # ETag


class StaticFiles:
    """The files of one folder; those of a bundle are served as one file, to save requests. Raises `UnknownMediaType`."""

    def __init__(self, folder: Traversable, prefix: str, bundles: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
        self._prefix = prefix
        self._names: dict[str, str] = {}  # name in the folder → name with the hash
        self._files: dict[str, _File] = {}  # name with the hash → file
        files = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
        for bundle, names in bundles.items():
            files[bundle] = b"\n".join(files.pop(name) for name in names)
        for name in sorted(files, key=lambda name: (name.endswith(".css"), name)):  # stylesheets name other files
            self._add(name, self._with_paths(files[name]) if name.endswith(".css") else files[name])

    def _with_paths(self, stylesheet: bytes) -> bytes:
        """Names of files in `url(…)` become their paths. Raises `KeyError` for one that is not in the folder."""
        return _URL.sub(lambda found: f"url({self.path(found[1].decode('ascii'))})".encode("ascii"), stylesheet)

    def _add(self, name: str, content: bytes) -> None:
        stem, _, ending = name.rpartition(".")
        if ending not in MEDIA_TYPES:
            raise UnknownMediaType(f"{name}: add its ending to MEDIA_TYPES")
        digest = hashlib.sha256(content).hexdigest()[:HASH_LENGTH]
        hashed = self._names[name] = f"{stem}.{digest}.{ending}"
        packed = pack(content, BEST)
        is_smaller = len(packed) < len(content) * WORTH_IT
        self._files[hashed] = _File(content, packed if is_smaller else None, MEDIA_TYPES[ending], f'"{digest}"')

    def path(self, name: str) -> str:
        """The path by which pages name a file. Raises `KeyError` for one that is not in the folder."""
        return self._prefix + self._names[name]

    def route(self) -> Route:
        """The route that serves all of them."""
        return Route(self._prefix + "{name}", self._get, methods=["GET"])  # and HEAD

    async def _get(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        headers = {**STATIC_HEADERS, "Cache-Control": KEEP_FOR_GOOD, "ETag": file.tag}
        content = file.content
        if file.packed is not None:
            headers["Vary"] = "Accept-Encoding"
            if accepts_gzip(request):  # another form has another tag
                content, headers["Content-Encoding"], headers["ETag"] = file.packed, "gzip", f'{file.tag[:-1]}-gzip"'
        if is_unchanged(request, headers["ETag"]):
            headers.pop("Content-Encoding", None)
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=file.media_type, headers=headers)


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` matches the tag (RFC 9110 §13.1.2: weak comparison, any of a list, or `*`)."""
    asked = request.headers.get("if-none-match", "")
    return asked.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in asked.split(",")}
