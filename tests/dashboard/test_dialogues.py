"""What was said in the tries of a mail: every line with its milliseconds, the same lines as in the receiver's log, and no password anywhere."""

import base64
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import DEFAULT_EXTENSIONS, Script
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import Browser, become_owner, open_tab
from .test_emails import send

pytestmark = pytest.mark.sockets

LOGIN, SECRET = "postie", "correct horse"
TOKEN = base64.b64encode(f"\0{LOGIN}\0{SECRET}".encode()).decode()
LINE = re.compile(r'<li(?: class="no")?><span>([→←·])</span><span>([^<]*)</span><span>([\d,]+) ms</span></li>')


def lines(text: str) -> list[tuple[str, str]]:
    """The lines of all dialogues on a page: direction and text."""
    return [(arrow, unescape(line)) for arrow, line, _ in LINE.findall(text)]


def test_a_try_has_every_line_that_went_over_the_wire(reader: Browser, mails: World) -> None:
    mails.nameserver.zone[("talk.test", "MX")] = ["10 mx.example.org."]
    email_id = send(mails, to="slow+dialogue@talk.test", subject="Dialogue")
    rest = RestClient(mails.relay, mails.live_key)
    mails.wait_until(lambda: "deferred" in rest.events(email_id))
    answer = reader.get(f"/emails/{email_id}")
    said = lines(answer.text)
    assert ("→", "RCPT TO:<slow+dialogue@talk.test>") in said
    assert ("←", "451 4.7.1 Greylisting in action, please come back later") in said
    spoken = [line for arrow, line in said if arrow != "·"]
    assert set(spoken) <= set(mails.mailhost.lines)
    assert answer.text.count("data-dialogue") == answer.text.count('data-event="deferred"')


@pytest.fixture(scope="module")
def smart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The program with a smart host that asks for a password and puts off the first try."""

    def command(verb: str, _line: str) -> str | None:
        return "235 2.7.0 Welcome" if verb == "AUTH" else None

    world = World(tmp_path_factory.mktemp("smart"), script=Script(command=command, final=lambda _mail: put_off.pop() if put_off else None))
    put_off = ["451 4.3.0 Not now"]
    world.mailhost.extensions = (*DEFAULT_EXTENSIONS, "AUTH PLAIN")
    world.relay.env["SENDRYD_SMARTHOST"] = f"smtp+notls://{LOGIN}:{SECRET.replace(' ', '%20')}@127.0.0.1:{world.mailhost.port}"
    with world:
        yield world


@pytest.fixture(scope="module")
def signed_in(smart: World) -> Browser:
    return become_owner(smart.relay)


@pytest.fixture(scope="module")
def tried_twice(smart: World, signed_in: Browser) -> str:
    """A mail that was put off, then taken."""
    rest = RestClient(smart.relay, smart.live_key)
    email_id = str(
        rest.post("/v1/emails", {"from": f"a@{SENDING_DOMAIN}", "to": "ann@far.test", "subject": "Hi", "text": "Top secret"})["id"]
    )
    smart.wait_until(lambda: "deferred" in rest.events(email_id))
    assert signed_in.send(f"/emails/{email_id}/try", {}, page=f"/emails/{email_id}").status == 303
    smart.wait_until(lambda: "delivered" in rest.events(email_id))
    signed_in.get(f"/emails/{email_id}")  # has the dialogues written
    return email_id


@pytest.mark.needs("chromium")
def test_both_dialogues_unfold_and_are_the_receivers_log(chromium: Chromium, smart: World, signed_in: Browser, tried_twice: str) -> None:
    with open_tab(chromium, signed_in) as tab:
        tab.goto(f"/emails/{tried_twice}")
        folded = tab.locator("[data-dialogue]")
        assert folded.count() == 2
        for each in folded.all():
            assert not each.locator("ol").first.is_visible()
            each.locator("summary").click()
            assert each.locator("ol li").first.is_visible()
        text = tab.content()
    said = [(arrow, line) for arrow, line in lines(text) if arrow != "·" and not line.startswith("AUTH")]
    heard = [line for line in smart.mailhost.lines if not line.startswith(("AUTH", "QUIT", "221"))]
    assert [line for arrow, line in said if arrow == "→"] == [line for line in heard if not line[:3].isdigit()]
    assert [line for arrow, line in said if arrow == "←"] == [line for line in heard if line[:3].isdigit()]
    assert all(ms for _, _, ms in LINE.findall(text))


def test_no_password_and_no_content_is_kept(smart: World, signed_in: Browser, tried_twice: str) -> None:
    answer = signed_in.get(f"/emails/{tried_twice}")
    assert ("→", "AUTH PLAIN ***") in lines(answer.text)
    assert any(arrow == "·" and re.fullmatch(r"content of \d+ octets", line) for arrow, line in lines(answer.text))
    for word in (SECRET, TOKEN):
        assert word not in answer.text
        for path in smart.relay.data_dir.rglob("*"):
            assert not path.is_file() or word.encode() not in path.read_bytes(), path
    kept = b"".join(path.read_bytes() for path in (smart.relay.data_dir / "transcripts").iterdir())
    assert b"RCPT TO:<ann@far.test>" in kept
    assert b"Top secret" not in kept


def test_the_command_line_shows_the_dialogues(smart: World, tried_twice: str) -> None:
    (delivery,) = smart.relay.json("queue", "show", tried_twice)["data"]
    put_off, taken = delivery["attempts_made"]
    assert {"from": "them", "line": "451 4.3.0 Not now"}.items() <= put_off["dialogue"][-1].items()
    assert {tuple(sorted(line)) for line in put_off["dialogue"]} == {("from", "line", "ms")}
    assert {line["from"] for line in put_off["dialogue"]} == {"us", "them"}
    said = [line["line"] for line in put_off["dialogue"]]
    assert "AUTH PLAIN ***" in said
    assert set(said) - {"AUTH PLAIN ***"} <= set(smart.mailhost.lines)
    assert [(server["port"], server["first_line"]) for server in taken["servers"]] == [(smart.mailhost.port, 0)]
    assert delivery["explanation"]
    assert "→ RCPT TO:<ann@far.test>".encode() in smart.relay.run("queue", "show", tried_twice).stdout


def test_the_api_does_not_show_where_dialogues_are(smart: World, tried_twice: str) -> None:
    found = RestClient(smart.relay, smart.live_key).get(f"/v1/emails/{tried_twice}/events")
    assert "dialogue" not in str(found)
    assert "attempt" in str(found)


def test_a_dialogue_that_is_gone_is_said_to_be(smart: World, signed_in: Browser, tried_twice: str) -> None:
    folder: Path = smart.relay.data_dir / "transcripts"
    kept = folder.with_name("moved")
    shutil.move(folder, kept)
    answer = signed_in.get(f"/emails/{tried_twice}")
    assert answer.text.count("The dialogue is not there any more.") == 2
    assert "data-dialogue" not in answer.text
    shutil.move(kept, folder)
    assert signed_in.get(f"/emails/{tried_twice}").text.count("data-dialogue") == 2
