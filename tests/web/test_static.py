"""Static files under names with hashes."""

import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from sendryd.web.static import StaticFiles, UnknownMediaType

PREFIX = "/x/static/"


def serve(folder: Path) -> tuple[StaticFiles, httpx.AsyncClient]:
    static = StaticFiles(folder, PREFIX)
    app = Starlette(routes=[static.route()])
    return static, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://relay.test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("app.css", "app.min.js", "icons.svg", "logo.png", "font.woff2"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "vendor").mkdir()
    return tmp_path


async def test_every_file_has_its_type_and_is_kept_for_good(folder: Path) -> None:
    static, client = serve(folder)
    types = {
        "app.css": "text/css; charset=utf-8",
        "app.min.js": "text/javascript; charset=utf-8",
        "icons.svg": "image/svg+xml",
        "logo.png": "image/png",
        "font.woff2": "font/woff2",
    }
    for name, media_type in types.items():
        answer = await client.get(static.path(name))
        assert (answer.status_code, answer.content) == (200, name.encode())
        assert answer.headers["content-type"] == media_type
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert (await client.head(static.path(name))).headers["etag"] == answer.headers["etag"]


async def test_the_path_changes_with_the_content(folder: Path) -> None:
    before = serve(folder)[0].path("app.min.js")
    assert re.fullmatch(r"/x/static/app\.min\.[0-9a-f]{16}\.js", before)
    assert serve(folder)[0].path("app.min.js") == before
    (folder / "app.min.js").write_bytes(b"new")
    static, client = serve(folder)
    assert static.path("app.min.js") != before
    assert (await client.get(before)).status_code == 404


@pytest.mark.parametrize("path", ["", "app.css", "app.0000000000000000.css", "../static.py", "%2e%2e/x", "vendor", "a/b.css"])
async def test_other_paths_are_not_found(folder: Path, path: str) -> None:
    assert (await serve(folder)[1].get(PREFIX + path)).status_code == 404


@pytest.mark.parametrize(("asked", "status"), [("{}", 304), ("W/{}", 304), ('"other", {}', 304), ("*", 304), ('"other"', 200), ("", 200)])
async def test_a_file_that_the_browser_has_is_not_sent_again(folder: Path, asked: str, status: int) -> None:
    static, client = serve(folder)
    path = static.path("app.css")
    tag = (await client.get(path)).headers["etag"]
    answer = await client.get(path, headers={"If-None-Match": asked.format(tag)})
    assert answer.status_code == status
    assert (answer.content == b"") is (status == 304)
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_files_are_read_at_the_start(folder: Path) -> None:
    static, client = serve(folder)
    (folder / "app.css").unlink()
    assert (await client.get(static.path("app.css"))).content == b"app.css"


def test_a_name_that_is_not_there_is_a_fault_of_the_page(folder: Path) -> None:
    with pytest.raises(KeyError):
        serve(folder)[0].path("app.js")


def test_an_unknown_ending_stops_the_start(folder: Path) -> None:
    (folder / "notes.doc").write_bytes(b"")
    with pytest.raises(UnknownMediaType, match=r"notes\.doc: add its ending to MEDIA_TYPES"):
        serve(folder)


async def test_text_is_compressed_once_with_a_tag_of_its_own(folder: Path) -> None:
    (folder / "app.css").write_bytes(b"p { color: red }" * 100)
    static, client = serve(folder)
    packed = await client.get(static.path("app.css"), headers={"Accept-Encoding": "gzip"})
    plain = await client.get(static.path("app.css"), headers={"Accept-Encoding": "identity"})
    assert packed.content == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 100
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] != plain.headers["etag"]
    again = await client.get(static.path("app.css"), headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]})
    assert (again.status_code, "content-encoding" in again.headers) == (304, False)
    assert "content-encoding" not in (await client.get(static.path("font.woff2"), headers={"Accept-Encoding": "gzip"})).headers


async def test_the_files_of_a_bundle_are_one(folder: Path) -> None:
    (folder / "more.css").write_bytes(b"more")
    static = StaticFiles(folder, PREFIX, {"all.css": ("more.css", "app.css")})
    client = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=[static.route()])), base_url="http://relay.test")
    assert (await client.get(static.path("all.css"))).text == "more\napp.css"
    with pytest.raises(KeyError):
        static.path("more.css")
