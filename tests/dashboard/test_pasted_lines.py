"""The lines that pages offer to paste: each is copied out of its page and run, and what it does appears on that page."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from sendryd.testing.world import World

from .conftest import EMAIL, Browser, become_owner, open_tab

pytestmark = pytest.mark.sockets

NODE_MODULES = Path(__file__).parents[2] / "build" / "interop" / "node_modules"
PROGRAMS = ("curl", "swaks", "nodemailer", "python", "go", "php", "smtp")
SUBJECTS = {
    "curl": "Hello from curl",
    "nodemailer": "Hello from nodemailer",
    "swaks": "Hello from swaks",
    "python": "Hello from Python",
    "go": "Hello from Go",
    "php": "Hello from PHP",
    "smtp": "Hello over SMTP",
}
NEEDED = {"nodemailer": "node", "python": "python3", "smtp": "curl"}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A new installation with a verified domain and without mail."""
    with World(tmp_path_factory.mktemp("fresh")) as world:
        yield world


@pytest.fixture(scope="module")
def newcomer(fresh: World) -> Browser:
    """Its owner's browser."""
    return become_owner(fresh.relay)


def lines_of(browser: Browser, path: str, place: str = r"[\w-]*lines(?:-\w+)?") -> dict[str, str]:
    """The lines of a page by the name of their program."""
    found = re.findall(rf'<pre id="({place})">(.*?)</pre>', browser.get(path).text, re.DOTALL)
    return {name.rpartition("-")[2]: unescape(text) for name, text in found}


def paste(lines: str, key: str, folder: Path) -> "subprocess.CompletedProcess[bytes]":
    """Runs lines in bash, as somebody pastes them."""
    env = {**os.environ, "SENDRYD_KEY": key, "NODE_PATH": str(NODE_MODULES)}
    return subprocess.run(["bash", "-c", lines], env=env, cwd=folder, capture_output=True, timeout=120, check=False)


def is_there(program: str) -> bool:
    return shutil.which(NEEDED.get(program, program)) is not None and (program != "nodemailer" or (NODE_MODULES / "nodemailer").exists())


def send(lines: str, program: str, key: str, folder: Path) -> str:
    """Runs the lines of one program; skips if it is missing. Gives the subject that they send."""
    if not is_there(program):
        pytest.skip(f"{program} is not installed")
    done = paste(lines, key, folder)
    assert done.returncode == 0, (lines, done.stdout, done.stderr)
    return SUBJECTS[program]


def copy(tab: Page, path: str) -> str:
    """Opens a page and copies the only lines that it offers."""
    tab.goto(path)
    tab.locator('copy-button[from="lines"]').get_by_role("button").click()
    tab.locator('copy-button[from="lines"]').get_by_text("Copied").wait_for()
    return str(tab.evaluate("navigator.clipboard.readText()"))


@pytest.mark.needs("chromium")
def test_empty_pages_say_how_to_see_something(chromium: Chromium, tmp_path: Path) -> None:
    if not is_there("swaks"):
        pytest.skip("swaks is not installed")
    # With a limit of requests the domain is made by commands, and the log of the API stays empty.
    with World(tmp_path / "world", env={"SENDRYD_API_RATE_LIMIT": "100/1s"}) as world:
        browser = become_owner(world.relay)
        with open_tab(chromium, browser) as tab:
            assert paste(copy(tab, "/log/api"), world.live_key, tmp_path).returncode == 0
            world.wait_until(lambda: 'data-status="200"' in browser.get("/log/api").text)
            later = paste(copy(tab, "/queue"), world.live_key, tmp_path)
            assert later.returncode == 0, later.stderr
            assert f'data-destination="{EMAIL.partition("@")[2]}"' in browser.get("/queue").text
            assert b"550 5.7.1" in paste(copy(tab, "/log/smtp"), world.live_key, tmp_path).stdout
            world.wait_until(lambda: "somebody@unverified.example" in browser.get("/log/smtp"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_home_shows_the_first_mail_of_a_test_key(newcomer: Browser, fresh: World, tmp_path: Path, program: str) -> None:
    found = lines_of(newcomer, "/")
    assert tuple(found) == PROGRAMS
    subject = send(found[program], program, fresh.test_key, tmp_path)
    page = newcomer.get("/")
    assert 'data-step="2" data-done="yes"' in page.text
    assert subject in page


@pytest.mark.needs("chromium")
def test_buttons_copy_the_lines_and_an_open_page_shows_what_they_send(
    chromium: Chromium, newcomer: Browser, fresh: World, tmp_path: Path
) -> None:
    with open_tab(chromium, newcomer) as tab:
        copied: dict[str, str] = {}
        for path in ("/", "/test"):
            tab.goto(path)
            copied = {}
            for button in tab.locator("copy-button[from*=lines-]").all():
                button.locator("button").evaluate("button => button.click()")
                button.get_by_text("Copied").wait_for(state="attached")
                copied[str(button.get_attribute("from")).rpartition("-")[2]] = tab.evaluate("navigator.clipboard.readText()")
            assert copied == lines_of(newcomer, path) != {}, path
        tab.wait_for_selector("[data-live=live]")
        shown = tab.locator("[data-id^=te_]").count()
        send(copied["curl"], "curl", fresh.test_key, tmp_path)
        tab.wait_for_function("shown => document.querySelectorAll('[data-id^=te_]').length > shown", arg=shown)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_test_inbox_shows_what_its_lines_send(newcomer: Browser, fresh: World, tmp_path: Path, program: str) -> None:
    subject = send(lines_of(newcomer, "/test")[program], program, fresh.test_key, tmp_path)
    assert subject in newcomer.get("/test")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_new_key_comes_with_lines_that_use_it(newcomer: Browser, tmp_path: Path, program: str) -> None:
    made = newcomer.send("/keys", {"name": f"made for {program}", "mode": "test", "scope": "sending_access"})
    found = {name.rpartition("-")[2]: unescape(text) for name, text in re.findall(r'<pre id="([\w-]+)">(.*?)</pre>', made.text, re.DOTALL)}
    subject = send(f"{found['export']}\n{found[program]}", program, "", tmp_path)
    assert subject in newcomer.get("/test")


@pytest.mark.parametrize("program", PROGRAMS)
def test_emails_shows_what_its_lines_send(reader: Browser, mails: World, tmp_path: Path, program: str) -> None:
    subject = send(lines_of(reader, "/emails")[program], program, mails.live_key, tmp_path)
    assert subject in reader.get("/emails")


def test_a_test_is_sent_from_home(reader: Browser, mails: World) -> None:
    form = reader.get("/send-test")
    assert "example.test" in form
    sent = reader.post("/send-test", {"token": form.token, "domain": "example.test", "to": "ann@example.org"})
    assert (sent.status, sent.headers["location"].startswith("/emails/em_")) == (303, True)
    assert b"Mara Lind sent this mail" in mails.wait_for_mail("Test mail from example.test").content
    for fields, sentence in (
        ({"domain": "example.test", "to": "nobody"}, "nobody"),
        ({"domain": "other.example", "to": "ann@example.org"}, "The domain other.example is not verified"),
        ({"domain": "no domain", "to": "ann@example.org"}, "domain"),
    ):
        refused = reader.post("/send-test", {"token": form.token, **fields})
        assert (refused.status, sentence in refused) == (422, True), fields
