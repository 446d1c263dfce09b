"""The Test Inbox: the list, one key's mail, the open mail, lines to paste, live rows."""

import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from sendryd.dashboard.pages.testinbox import SHOWN
from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Answer, Browser, open_tab

pytestmark = pytest.mark.sockets

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
NODE_MODULES = Path(__file__).parents[2] / "build/interop/node_modules"


class Key:
    """A test key of its own, so that no other test's mail is in its list."""

    def __init__(self, browser: Browser, world: World, name: str) -> None:
        made = browser.send("/keys", {"name": name, "mode": "test", "scope": "full_access"})
        self.secret = re.findall(r"sn_test_\w{20,}", made.text)[0]
        found = re.search(rf'<tr data-id="(key_\w{{13}})" data-status="\w+"><td><b><bdi>{name}<', browser.get("/keys").text)
        assert found
        self.path = f"/test?key={found[1]}"
        self._world = world

    def send(self, to: str, subject: str, **more: object) -> str:
        """Sends a mail; gives its id in the Test Inbox."""
        body = {"from": f"Acme <hello@{SENDING_DOMAIN}>", "to": to, "subject": subject, "text": "It works.", **more}
        return str(RestClient(self._world.relay, self.secret).post("/v1/emails", body)["id"]).replace("em_", "te_", 1)


def rows(answer: Answer) -> dict[str, str]:
    """Id and status of each row, in order."""
    return dict(re.findall(r'data-id="(te_\w+)" data-status="(\w+)"', answer.text))


@pytest.fixture(scope="module")
def shop(reader: Browser, mails: World) -> Key:
    return Key(reader, mails, "inbox shop")


@pytest.fixture(scope="module")
def caught(shop: Key) -> dict[str, str]:
    """Mails by a word."""
    file = {"filename": f"{HOSTILE}.txt", "content": "aGVsbG8="}
    return {
        "plain": shop.send(f"ann@{RECIPIENT_DOMAIN}", "Inbox plain"),
        "bounced": shop.send("bounced@sendryd.test", "Inbox bounced"),
        "hostile": shop.send(f"bob@{RECIPIENT_DOMAIN}", f"Inbox {HOSTILE}", html=f"<p>Seen</p>{HOSTILE}", attachments=[file, file]),
    }


def test_the_list_has_the_newest_first(reader: Browser, shop: Key, caught: dict[str, str]) -> None:
    answer = reader.get(shop.path)
    assert (answer.status, answer.page) == (200, "test")
    assert list(rows(answer)) == [caught["hostile"], caught["bounced"], caught["plain"]]
    assert (rows(answer)[caught["plain"]], rows(answer)[caught["bounced"]]) == ("delivered", "bounced")
    for text in ("Caught", "Bounced", f"Acme <hello@{SENDING_DOMAIN}>", f"bob@{RECIPIENT_DOMAIN}", "Inbox plain"):
        assert text in answer, text
    assert re.findall(r">([\d.]+ (?:octets|KB))<", answer.text)
    assert re.findall(r'data-attachments="(\d*)"', answer.text) == ["2", "0", "0"]


def test_one_keys_mail_is_not_anothers(reader: Browser, mails: World, shop: Key, caught: dict[str, str]) -> None:
    other = Key(reader, mails, "inbox other")
    own = other.send(f"ann@{RECIPIENT_DOMAIN}", "Inbox of another key")
    assert list(rows(reader.get(other.path))) == [own]
    assert own not in rows(reader.get(shop.path))
    assert next(iter(rows(reader.get("/test")))) == own
    assert list(rows(reader.get(shop.path))) == [caught["hostile"], caught["bounced"], caught["plain"]]
    assert reader.get("/test?key=key_0000000000001").page == "missing"
    assert reader.get("/test?key=x").status == 404


def test_live_mail_and_scheduled_mail_are_not_there(reader: Browser, mails: World, shop: Key) -> None:
    live = RestClient(mails.relay, mails.live_key).post(
        "/v1/emails", {"from": f"a@{SENDING_DOMAIN}", "to": f"live@{RECIPIENT_DOMAIN}", "subject": "Inbox live", "text": "Live."}
    )["id"]
    later = shop.send(f"later@{RECIPIENT_DOMAIN}", "Inbox later", scheduled_at="in 3 hours")
    answer = reader.get("/test")
    assert live.replace("em_", "te_", 1) not in rows(answer)
    assert later not in rows(answer)
    for given in (live, live.replace("em_", "te_", 1), "te_0000000000001", "x"):
        opened = reader.get(f"/test?open={given}")
        assert (opened.status, 'role="alert"' in opened.text, "data-sentence" in opened.text) == (200, True, False), given


def test_an_open_mail_stands_beside_the_list(reader: Browser, shop: Key, caught: dict[str, str]) -> None:
    answer = reader.get(f"{shop.path}&open={caught['bounced']}&part=timeline")
    assert len(rows(answer)) == 3
    assert f'data-id="{caught["bounced"]}" data-status="bounced" aria-selected="true"' in answer.text
    assert 'data-event="bounced"' in answer.text
    newer, older, close = (re.search(rf'data-{word} href="([^"]*)"', answer.text) for word in ("newer", "older", "close"))
    assert newer
    assert older
    assert close
    assert (caught["hostile"] in newer[1], caught["plain"] in older[1]) == (True, True)
    closed = reader.get(unescape(close[1]))
    assert "data-sentence" not in closed.text
    assert f'data-id="{caught["bounced"]}" data-status="bounced" aria-selected="true"' in closed.text


def test_each_part_of_an_open_mail(reader: Browser, shop: Key, caught: dict[str, str]) -> None:
    def part(name: str) -> Answer:
        return reader.get(f"{shop.path}&open={caught['hostile']}{f'&part={name}' if name else ''}")

    first = part("")
    assert "Caught in the Test Inbox" in first
    assert "Open there" not in first
    frame = re.search(r'<iframe class="framed[^"]*" src="([^"]+)"', first.text)
    assert frame
    assert "Seen" in reader.get(unescape(frame[1]))
    assert "It works." in part("text")
    assert "Content-Type: multipart/mixed" in part("source")
    assert "Message-ID" in part("headers")
    files = part("attachments")
    path = re.search(r'href="(/emails/em_\w+/attachments/0)" download', files.text)
    assert path
    assert reader.get(path[1]).text == "hello"
    for name in ("", "text", "source", "headers", "attachments", "timeline"):
        assert "<script>alert" not in part(name).text, name
        assert "<img" not in part(name).text, name


def test_texts_of_strangers_stay_texts(reader: Browser, mails: World, shop: Key, caught: dict[str, str]) -> None:
    assert caught
    Key(reader, mails, "inbox hostile").send(f"x@{RECIPIENT_DOMAIN}", HOSTILE)
    reader.send("/keys", {"name": HOSTILE, "mode": "test", "scope": "sending_access"})
    for path in ("/test", shop.path):
        answer = reader.get(path)
        assert HOSTILE in answer
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text


def test_a_pasted_id_opens_the_mail_there(reader: Browser, caught: dict[str, str]) -> None:
    assert reader.get(f"/emails?q={caught['plain']}").headers["location"] == f"/test?open={caught['plain']}"


def test_pages_follow_one_another(reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox pages")
    sent = [key.send(f"page{number}@{RECIPIENT_DOMAIN}", "Inbox paging") for number in range(SHOWN + 3)]
    first = reader.get(key.path)
    assert list(rows(first)) == sent[::-1][:SHOWN]
    older = re.search(r'href="([^"]*)" rel="next"', first.text)
    assert older
    second = reader.get(unescape(older[1]))
    assert list(rows(second)) == sent[::-1][SHOWN:]
    assert 'rel="next"' not in second.text
    assert ">Newest<" in second.text


def test_a_viewer_sees_and_a_stranger_does_not(looker: Browser, mails: World, shop: Key, caught: dict[str, str]) -> None:
    answer = looker.get(f"{shop.path}&open={caught['plain']}")
    assert caught["plain"] in rows(answer)
    assert "data-sentence" in answer.text
    assert 'href="/test"' in answer
    assert Browser(mails.relay.ready["http"]).get("/test").status == 303


def test_an_empty_inbox_waits_and_its_lines_run(reader: Browser, mails: World, tmp_path: Path) -> None:
    key = Key(reader, mails, "inbox empty")
    page = reader.get(key.path)
    assert "The inbox waits for the first mail of inbox empty." in re.sub(r"</?bdi>", "", page.text)
    found = [unescape(text) for text in re.findall(r'<pre id="snippet-\d+">(.*?)</pre>', page.text, re.DOTALL)]
    assert len(found) == 5
    ran: list[str] = []
    for lines in found:
        program = re.findall(r"\b(curl|swaks|node|python3)\b", lines)[0]
        if not shutil.which(program) or (program == "node" and not (NODE_MODULES / "nodemailer").exists()):
            continue
        env = {**os.environ, "SENDRYD_KEY": key.secret, "NODE_PATH": str(NODE_MODULES)}
        done = subprocess.run(["bash", "-c", lines], env=env, cwd=tmp_path, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, (lines, done.stdout, done.stderr)
        ran.append(lines)
    assert len(ran) >= 3
    answer = reader.get(key.path)
    assert len(rows(answer)) == len(ran)
    for subject in ("Hello from curl", "Hello from Python", "Hello over SMTP"):
        assert subject in answer


@pytest.mark.needs("chromium")
def test_a_mail_appears_by_itself(chromium: Chromium, reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox live")
    with open_tab(chromium, reader) as tab:
        tab.goto(key.path)
        tab.get_by_text("waits for the first mail").wait_for()
        tab.wait_for_selector("[data-live=live]")
        own = key.send(f"ann@{RECIPIENT_DOMAIN}", f"Appearing {HOSTILE}", html="<p>Seen</p>")
        tab.wait_for_selector(f"[data-id={own}]")
        tab.keyboard.press("j")
        tab.keyboard.press("Enter")
        tab.frame_locator("iframe").get_by_text("Seen").wait_for()
        tab.keyboard.press("Escape")
        tab.wait_for_url("**at=te_*")
        tab.set_viewport_size({"width": 360, "height": 780})
        for path in (key.path, f"{key.path}&open={own}"):
            tab.goto(path)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 360, path
