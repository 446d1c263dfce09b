"""Changes of many mails at once, over HTTP."""

import html
import re

import pytest

from sendryd.testing.world import RECIPIENT_DOMAIN, World

from .conftest import Answer, Browser
from .test_emails import HOSTILE, send
from .test_queue import send as send_to

pytestmark = pytest.mark.sockets


def later(mails: World, subject: str) -> str:
    """A mail that waits."""
    return send(mails, f"ann@{RECIPIENT_DOMAIN}", subject, scheduled_at="in 5 hours")


def wait_for(mails: World, browser: Browser, path: str, state: str) -> Answer:
    """The page of a job once it is in a state."""
    mails.wait_until(lambda: f'data-status="{state}"' in browser.get(path).text)
    return browser.get(path)


def test_all_that_match_are_counted_then_cancelled(mails: World, reader: Browser) -> None:
    ids = [later(mails, "Manyfold") for _ in range(3)]
    other = later(mails, "Another")
    begun = reader.send("/bulk", {"which": "all", "q": "manyfold", "change": "cancel"}, page="/emails")
    path = begun.headers["location"]
    page = wait_for(mails, reader, path, "counted")
    assert (page.status, page.page) == (200, "bulk")
    assert "Cancel the mail to 3 recipients?" in page
    assert mails.relay.get(f"/v1/emails/{ids[0]}", mails.live_key)[1]["status"] == "queued"
    assert reader.send(f"{path}/start", {}, page=path).status == 303
    page = wait_for(mails, reader, path, "done")
    assert "3 recipients are cancelled" in page
    statuses = [mails.relay.get(f"/v1/emails/{each}", mails.live_key)[1]["status"] for each in (*ids, other)]
    assert statuses == ["cancelled", "cancelled", "cancelled", "queued"]
    audit = html.unescape(reader.get("/audit?q=bulk.cancelled").text)
    assert audit.count("deliveries: 3") == 1
    assert path.rpartition("/")[2] in reader.get("/bulk").text


def test_chosen_mails_are_held_with_a_reason_and_released(mails: World, reader: Browser) -> None:
    first, second = later(mails, "Picked"), later(mails, "Picked")
    fields = {"which": "chosen", "change": "hold", "reason": HOSTILE, f"row-{first}": "on", "row-em_nonsense": "on"}
    path = reader.send("/bulk", fields, page="/emails").headers["location"]
    page = wait_for(mails, reader, path, "counted")
    assert "Hold the mail to 1 recipient?" in page
    assert HOSTILE in page
    assert "<script>alert" not in page.text
    reader.send(f"{path}/start", {}, page=path)
    wait_for(mails, reader, path, "done")
    held = reader.get(f"/emails/{first}")
    assert "Held by Mara Lind since" in held
    assert HOSTILE in held
    assert "Held" not in reader.get(f"/emails/{second}")
    path = reader.send("/bulk", {"which": "all", "q": "picked", "change": "release"}, page="/emails").headers["location"]
    wait_for(mails, reader, path, "counted")
    assert reader.send(f"{path}/stop", {}, page=path).status == 303
    assert "Stopped" in wait_for(mails, reader, path, "stopped")


def test_a_search_that_was_not_understood_changes_nothing(mails: World, reader: Browser) -> None:
    assert mails.relay.is_running
    answer = reader.send("/bulk", {"which": "all", "q": "statsu:bounced", "change": "cancel"}, page="/emails")
    assert (answer.status, answer.page) == (400, "bulk")
    assert "did you mean status:bounced?" in answer
    assert reader.send("/bulk", {"which": "chosen", "change": "cancel"}, page="/emails").status == 400
    assert reader.send("/bulk", {"which": "all", "change": "explode"}, page="/emails").status == 403


def test_a_viewer_changes_nothing_and_has_no_choice(mails: World, reader: Browser, looker: Browser) -> None:
    email_id = later(mails, "Watched")
    page = looker.get("/emails?q=watched")
    assert email_id in page.text
    assert "<choose-rows>" not in page.text
    assert 'type="checkbox"' not in page.text
    assert looker.post("/bulk", {"token": page.token, "which": "all", "change": "cancel"}).status == 403
    path = reader.send("/bulk", {"which": "all", "q": "watched", "change": "cancel"}, page="/emails").headers["location"]
    assert looker.post(f"{path}/start", {"token": page.token}).status == 403
    assert reader.get("/bulk/bulk_nonsense").status == 404


def test_a_whole_destination_is_chosen_on_its_page(mails: World, reader: Browser) -> None:
    send_to(mails, "many.test", "slow", "slow+2")
    mails.wait_until(lambda: "Greylisting" in reader.get("/queue/many.test"))
    page = reader.get("/queue/many.test")
    assert len(re.findall(r'name="row-em_', page.text)) == 2
    path = reader.send("/bulk", {"which": "all", "domain": "many.test", "change": "cancel"}, page="/queue/many.test").headers["location"]
    page = wait_for(mails, reader, path, "counted")
    assert "Cancel the mail to 2 recipients?" in page
    assert 'href="/queue/many.test"' in page
