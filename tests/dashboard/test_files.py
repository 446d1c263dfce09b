"""Templates have nothing that the policy refuses; vendored files are as published; every static file is served under its hash."""

import gzip
import hashlib
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from sendryd.dashboard.rendering import Pages
from sendryd.testing.cases import cases

FOLDER = Path(str(resources.files("sendryd.dashboard")))
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
VENDORED = tomllib.loads((FOLDER / "vendor.toml").read_text("utf-8"))
OWN = {"app.js", "icon.svg", "passkeys.js", "tokens.css", "ui.css"}
BUDGETS = {".js": 24 * 1024, ".css": 8 * 1024, ".woff2": 72 * 1024, ".svg": 4 * 1024}  # octets, compressed, of all files of a kind


@cases("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_needs_nothing_that_the_policy_refuses(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"\sstyle=|\son\w+=|hx-on|\bjs:|javascript:|\|\s*safe\b", text) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL):
        assert "parts.token(token)" in form


def test_vendored_files_are_as_published_and_have_a_licence() -> None:
    assert {path.name for path in (FOLDER / "static").iterdir()} == OWN | set(VENDORED)
    for name, entry in VENDORED.items():
        content = (FOLDER / "static" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], name
        assert (FOLDER / "licences" / f"{name}.txt").stat().st_size > 100
        assert b"eval(" not in content
        assert b"new Function(" not in content


def test_stylesheets_name_files_by_their_hashes() -> None:
    static = Pages().static
    assert re.fullmatch(r"/static/style\.[0-9a-f]{16}\.css", static.path("style.css"))
    served = static._files[static.path("style.css").removeprefix("/static/")].content.decode()
    assert f"url({static.path('inter.woff2')})" in served


def test_what_a_browser_loads_stays_small() -> None:
    for ending, limit in BUDGETS.items():
        files = [path.read_bytes() for path in (FOLDER / "static").glob(f"*{ending}")]
        assert sum(len(each) if ending == ".woff2" else len(gzip.compress(each)) for each in files) <= limit, ending


def test_an_unknown_name_in_a_template_is_an_error() -> None:
    with pytest.raises(Exception, match="undefined"):
        Pages().render("sign_in.html", {})
