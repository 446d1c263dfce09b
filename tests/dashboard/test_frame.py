"""The frame of a mail's HTML: pictures, switches, what is too large; the MIME structure."""

import base64
import re
import socket
from html import unescape

import pytest
from playwright.sync_api import Page

from sendryd.testing.clients import submit
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World
from sendryd.web.foreign import MAX_HTML

from .conftest import Answer, Browser
from .test_emails import send

pytestmark = pytest.mark.sockets

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
HTML = '<p>Seen</p><img src="cid:logo%40x" alt="Logo"><img src="cid:drawing"><img src="cid:page"><img src="cid:none"><img src="https://a.test/x">'


def frame_path(answer: Answer) -> str:
    found = re.search(r'<iframe class="framed[^"]*" src="([^"]+)"', answer.text)
    assert found
    return unescape(found[1])


def part(kind: str, name: str, octets: bytes) -> str:
    text = base64.b64encode(octets).decode()
    return f"--x\r\nContent-Type: {kind}\r\nContent-ID: <{name}>\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n"


@pytest.fixture(scope="module")
def pictured(mails: World) -> str:
    """A mail with a picture, a drawing that calls itself a picture, and a page that does."""
    content = (
        f"From: hello@{SENDING_DOMAIN}\r\nTo: ann@{RECIPIENT_DOMAIN}\r\nSubject: Pictures\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/related; boundary="x"\r\n\r\n'
        f"--x\r\nContent-Type: text/html\r\n\r\n{HTML}\r\n"
        + part("text/html", "logo@x", PNG)
        + part("image/png", "drawing", b"<svg onload='alert(1)'/>")
        + part("image/png", "page", b"<script>alert(1)</script>")
        + "--x--\r\n"
    )
    code, reply = submit(mails.relay, mails.live_key, f"hello@{SENDING_DOMAIN}", [f"ann@{RECIPIENT_DOMAIN}"], content.encode())
    assert code == 250
    return reply.rpartition(" ")[2]


def test_pictures_in_the_mail_are_shown_as_what_they_are(reader: Browser, mails: World, pictured: str) -> None:
    stranger = Browser(mails.relay.ready["http"])  # a frame sends no cookie
    path = frame_path(reader.get(f"/emails/{pictured}?part=preview"))
    framed = stranger.get(path)
    sources = re.findall(r'src="([^"]*)"', framed.text)
    token = path.rpartition("/")[2].partition("?")[0]
    assert sources == [f"{token}/part/{number}" for number in range(3)]
    assert f"img-src data: {stranger.base}/content/{token}/part/; " in framed.headers["content-security-policy"]
    shown = stranger.get(f"/content/{sources[0]}")
    assert (shown.status, shown.headers["content-type"], shown.headers["x-content-type-options"]) == (200, "image/png", "nosniff")
    assert shown.headers["content-security-policy"].startswith("sandbox ")
    assert "cross-origin-resource-policy" not in shown.headers
    for name in (f"{token}/part/1", f"{token}/part/2", f"{token}/part/3", f"{token}/part/-1", f"{token}/part/x", "x/part/0"):
        assert stranger.get(f"/content/{name}").status == 404, name


def test_the_headers_of_a_frame_are_exact(reader: Browser, pictured: str) -> None:
    path = frame_path(reader.get(f"/emails/{pictured}?part=preview"))
    token = path.rpartition("/")[2].partition("?")[0]
    headers = reader.get(path).headers
    assert headers["content-security-policy"] == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
        f"img-src data: {reader.base}/content/{token}/part/; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("no-referrer", "nosniff")
    assert (headers["x-dns-prefetch-control"], headers["cache-control"]) == ("off", "private, no-store")


def test_width_and_colours_of_a_mail_are_in_the_address(reader: Browser, mails: World) -> None:
    html = "<style>p{color:red}@media (prefers-color-scheme: dark){p{color:lime}}</style><p>Seen</p>"
    path = f"/emails/{send(mails, f'ann@{RECIPIENT_DOMAIN}', 'Looks', html=html)}?part=preview"
    page = reader.get(path)
    assert 'class="framed at-full light"' in page.text
    assert "@media (max-width:0)" in reader.get(frame_path(page)).text
    chosen = reader.get(f"{path}&width=360&mail=dark")
    assert 'class="framed at-360 dark"' in chosen.text
    framed = reader.get(frame_path(chosen)).text
    assert "@media (min-width:0)" in framed
    assert "color-scheme:dark" in framed
    assert "width=360" in re.findall(r'href="([^"]*)"[^>]*>Light mail<', chosen.text)[0]
    assert 'class="framed at-full light"' in reader.get(f"{path}&width=%22%3E&mail=x").text


def test_very_large_html_is_shown_as_text_until_somebody_asks(reader: Browser, mails: World) -> None:
    html = "<b>Large</b>" + f"<p>{'words of it ' * 20}</p>" * (MAX_HTML // 240 + 1)
    path = f"/emails/{send(mails, f'ann@{RECIPIENT_DOMAIN}', 'Large', html=html)}?part=preview"
    page = reader.get(path)
    assert "too large" in reader.get(frame_path(page))
    anyway = re.search(r'href="([^"]*)">Show anyway<', page.text)
    assert anyway
    whole = reader.get(unescape(anyway[1]))
    assert "Show anyway" not in whole
    assert "<b>Large</b><p>words of it" in reader.get(frame_path(whole)).text


def test_the_structure_of_a_mail_is_beside_its_attachments(reader: Browser, pictured: str) -> None:
    shown = reader.get(f"/emails/{pictured}?part=attachments").text
    found = re.findall(r'<li class="in-(\d)"><code><bdi>([^<]*)</bdi>', unescape(shown))
    assert found == [("0", "multipart/related"), ("1", "text/html"), ("1", "text/html"), ("1", "image/png"), ("1", "image/png")]


def test_pictures_from_elsewhere_are_fetched_by_the_server_and_only_when_somebody_asks(
    reader: Browser, mails: World, pictured: str
) -> None:
    page = reader.get(f"/emails/{pictured}?part=preview")
    assert 'data-remote="1"' in page.text
    assert "remote-" not in reader.get(frame_path(page)).text
    token = frame_path(page).rpartition("/")[2].partition("?")[0]
    assert reader.get(f"/content/{token}/part/remote-0").status == 404
    asked = re.search(r'href="([^"]*)">Show pictures<', page.text)
    assert asked
    shown = reader.get(unescape(asked[1]))
    assert "data-remote" not in shown.text
    source = re.findall(r'src="([^"]*part/remote-0)"', reader.get(frame_path(shown)).text)
    assert len(source) == 1
    assert reader.get(f"/content/{source[0]}").status == 404  # the host of this mail does not exist
    assert reader.get(f"/content/{source[0]}1").status == 404
    assert mails.relay.is_running


def test_a_server_on_a_private_address_is_not_asked(reader: Browser, mails: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        html = f'<img src="http://127.0.0.1:{listening.getsockname()[1]}/x.png">'
        path = f"/emails/{send(mails, f'ann@{RECIPIENT_DOMAIN}', 'Private', html=html)}?part=preview&pictures=shown"
        source = re.findall(r'src="([^"]*part/remote-0)"', reader.get(frame_path(reader.get(path))).text)
        assert reader.get(f"/content/{source[0]}").status == 404
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_an_account_may_forbid_to_fetch_pictures(reader: Browser, looker: Browser, pictured: str) -> None:
    page = reader.get(f"/emails/{pictured}?part=preview&pictures=shown")
    source = re.findall(r'src="([^"]*part/remote-0)"', reader.get(frame_path(page)).text)
    assert len(source) == 1
    assert looker.post("/settings/pictures", {"token": looker.get("/emails").token, "pictures": "never"}).status == 403
    assert reader.send("/settings/pictures", {"pictures": "never"}, page="/settings").status == 303
    try:
        shown = reader.get(f"/emails/{pictured}?part=preview&pictures=shown")
        assert "settings forbid" in shown
        assert "Show pictures" not in shown
        assert "remote-0" not in reader.get(frame_path(shown)).text
        assert reader.get(f"/content/{source[0]}").status == 404
        assert "pictures.changed" in reader.get("/audit")
    finally:
        reader.send("/settings/pictures", {"pictures": "fetch"}, page="/settings")
    assert "Show pictures" in reader.get(f"/emails/{pictured}?part=preview")


@pytest.mark.needs("chromium")
def test_a_browser_shows_the_pictures_in_a_mail_and_no_others(page: Page, pictured: str) -> None:
    page.goto(f"/emails/{pictured}?part=preview")
    widths = page.frames[1].evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert widths == [1, 0, 0, 0, 0]
