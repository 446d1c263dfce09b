"""Analytics: sums, charts, tables and CSV of real mail."""

import csv
import html
import io
import re

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Answer, Browser

pytestmark = pytest.mark.sockets


@pytest.fixture(scope="module", autouse=True)
def sent(mails: World) -> None:
    """Two delivered mails and one that bounced, with a tag of their own."""
    rest = RestClient(mails.relay, mails.live_key)
    for local, status in (("one", "delivered"), ("two", "delivered"), ("gone+figures", "bounced")):
        body = {"from": f"a@{SENDING_DOMAIN}", "to": f"{local}@{RECIPIENT_DOMAIN}", "subject": "Figures", "text": "x"}
        made = str(rest.post("/v1/emails", {**body, "tags": [{"name": "kind", "value": "figures"}]})["id"])
        mails.relay.wait_for_status(made, {status}, key=mails.live_key)


def figures(answer: Answer) -> dict[str, str]:
    found = re.findall(r'data-figure="(\w+)"><dt>\w+</dt><dd class="figure">([\d,]+)', answer.text)
    return dict(found)


@pytest.mark.parametrize("chosen", ["24h", "7d", "30d", "90d"])
def test_figures_of_each_range(reader: Browser, chosen: str) -> None:
    answer = reader.get(f"/analytics?range={chosen}&tag=kind:figures")
    assert (answer.status, answer.page) == (200, "analytics")
    assert figures(answer) == {"sent": "3", "delivered": "2", "bounced": "1", "complained": "0", "opened": "0", "clicked": "0"}
    assert len(re.findall(r'<path class="delivered" d="M', answer.text)) == 1
    assert len(re.findall(r"<summary>Table</summary>", answer.text)) == 2


def test_by_domain(reader: Browser) -> None:
    answer = reader.get(f"/analytics?tag=kind:figures&domain={SENDING_DOMAIN}")
    assert f'<tr data-id="{SENDING_DOMAIN}" data-status="3">' in answer.text
    assert figures(reader.get("/analytics?domain=other.example"))["sent"] == "0"


def test_by_provider_tag_and_key(reader: Browser, mails: World) -> None:
    key = next(each for each in mails.relay.json("keys", "list")["data"] if mails.live_key.startswith(each["key_prefix"]))
    for title, name in (("provider", "Others"), ("tag", "kind=figures"), ("key", key["name"])):
        answer = reader.get(f"/analytics?tag=kind:figures&by={title}")
        assert re.search(rf'aria-label="By {title}".*?<tr data-id="{re.escape(name)}" data-status="3">', answer.text, re.DOTALL), title
    rest = RestClient(mails.relay, mails.live_key)
    body = {
        "from": f"a@{SENDING_DOMAIN}",
        "to": "ann@googlemail.com",
        "subject": "Figures",
        "text": "x",
        "tags": [{"name": "to", "value": "googlemail"}],
    }
    mails.nameserver.zone["googlemail.com", "MX"] = ["10 mx.example.org."]
    mails.relay.wait_for_status(rest.post("/v1/emails", body)["id"], {"delivered"}, key=mails.live_key)
    assert '<tr data-id="Gmail" data-status="1">' in reader.get("/analytics?tag=to:googlemail&by=provider").text


def test_the_csv_has_each_bucket(reader: Browser) -> None:
    page = reader.get("/analytics?range=30d&tag=kind:figures")
    (path,) = re.findall(r'href="(/analytics/export[^"]*)"', html.unescape(page.text))
    answer = reader.get(path)
    assert answer.headers["content-disposition"] == 'attachment; filename="analytics-30d.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 30
    assert (rows[-1]["sent"], rows[-1]["delivered"], rows[-1]["bounced"]) == ("3", "2", "1")


def test_a_domain_that_is_none_says_so(reader: Browser) -> None:
    answer = reader.get("/analytics?domain=%22%3E%3Cscript%3E&range=nonsense")
    assert (answer.status, 'role="alert"' in answer.text, "<script>" in answer.text) == (422, True, False)
    assert reader.get("/analytics/export?domain=no%20domain").status == 422


def test_without_mail_it_names_the_next_step(owner: Browser, looker: Browser) -> None:
    assert "Figures begin with the first mail." in owner.get("/analytics")
    assert looker.get("/analytics").status == 200


def test_reports_by_mail_are_added_shown_and_ended(mails: World, reader: Browser, looker: Browser) -> None:
    page = reader.get("/analytics")
    assert f"from <code>reports@{SENDING_DOMAIN}</code>" in page.text
    assert 'action="/analytics/reports"' not in html.unescape(looker.get("/analytics").text)
    assert looker.send("/analytics/reports", {"recipients": "x@example.org", "frequency": "weekly"}, page="/analytics").status == 403
    for recipients, words in (
        ("", "Enter 1 to 10 addresses"),
        ("no address", "No report is sent: "),
        ("a@example.org," * 11, "Enter 1 to 10"),
        ("no address," * 11, "Enter 1 to 10"),  # counted before they are read
    ):
        wrong = reader.send("/analytics/reports", {"recipients": recipients, "frequency": "weekly"}, page="/analytics")
        assert (wrong.status, words in wrong) == (422, True)
    assert reader.send("/analytics/reports", {"recipients": "x@example.org", "frequency": "hourly"}, page="/analytics").status == 404
    fields = {"recipients": "Boss <boss@example.org>, ann@example.org", "frequency": "monthly"}
    assert reader.send("/analytics/reports", fields, page="/analytics").headers["location"] == "/analytics#reports"
    shown = html.unescape(reader.get("/analytics").text)
    found = re.search(r'<li data-id="(rep_\w+)" data-status="monthly">.*?</li>', shown, re.DOTALL)
    assert found
    assert ("boss@example.org" in found[0], "ann@example.org" in found[0]) == (True, True)
    rest = RestClient(mails.relay, mails.live_key).get("/v1/analytics/scheduled-reports")["data"]
    assert [each["id"] for each in rest] == [found[1]]
    assert found[1] in looker.get("/analytics")
    assert reader.send(f"/analytics/reports/{found[1]}/remove", {}, page="/analytics").status == 303
    assert found[1] not in reader.get("/analytics")
    audit = reader.get("/audit?q=report.")
    assert ("report.added" in audit, "report.removed" in audit) == (True, True)
