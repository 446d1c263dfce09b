"""A stored mail as a line to paste."""

import json
import os
import re
import shlex
import subprocess
from html import unescape

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser

pytestmark = pytest.mark.sockets


def line_of(reader: Browser, mail: str) -> str:
    found = re.search(r'<pre class="wrap" id="repeat">(.*?)</pre>', reader.get(f"/emails/{mail}?part=source").text, re.DOTALL)
    return unescape(found[1]) if found else ""


def test_a_mail_is_sent_again_by_the_line_of_its_page(mails: World, reader: Browser) -> None:
    rest = RestClient(mails.relay, mails.live_key)
    body = {
        "from": f"Zoë's shop <shop@{SENDING_DOMAIN}>",
        "to": f"again@{RECIPIENT_DOMAIN}",
        "cc": f"boss@{RECIPIENT_DOMAIN}",
        "reply_to": f"help@{SENDING_DOMAIN}",
        "subject": "It's `$HOME` \U0001f600 <b>",
        "html": '<p>It\'s "here"</p>\n<p>$(date)</p>',
        "text": "It's here",
        "tags": [{"name": "kind", "value": "again"}],
        "attachments": [{"filename": "a.txt", "content": "aGVsbG8="}],
    }
    first = rest.post("/v1/emails", body)["id"]
    page = reader.get(f"/emails/{first}?part=source")
    assert "Left out: 1 attachment." in page
    line = line_of(reader, first)
    done = subprocess.run(["bash", "-c", line], env={**os.environ, "SENDRYD_KEY": mails.live_key}, check=True, capture_output=True)
    again = rest.get(f"/v1/emails/{json.loads(done.stdout)['id']}")
    before = rest.get(f"/v1/emails/{first}")
    assert {name: again[name] for name in ("from", "to", "subject", "tags")} == {
        name: before[name] for name in ("from", "to", "subject", "tags")
    }
    sent = json.loads(shlex.split(line.replace("\\\n", " "))[-1])
    assert sent["cc"] == [body["cc"]]
    assert (sent["html"].replace("\r\n", "\n").strip(), sent["text"].strip(), sent["reply_to"]) == (
        body["html"],
        body["text"],
        body["reply_to"],
    )


def test_a_large_mail_has_no_such_line(mails: World, reader: Browser) -> None:
    rest = RestClient(mails.relay, mails.test_key)
    body = {"from": f"shop@{SENDING_DOMAIN}", "to": "ann@example.org", "subject": "Large", "text": "x" * 70_000}
    assert line_of(reader, rest.post("/v1/emails", body)["id"]) == ""
    small = rest.post("/v1/emails", {**body, "text": "x"})["id"]
    assert "export SENDRYD_KEY=sn_test_" in reader.get(f"/emails/{small}?part=source")
