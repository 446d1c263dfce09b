"""Opens, clicks and unsubscribing by the real program, with the links in the copies that really arrived."""

import base64
import email
import html as entities
import quopri
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import dkim
import httpx
import pytest
from sendry import Sendry

from sendryd.runtime.clock import SystemClock
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
# One for all requests, each with a connection of its own: a client that is made anew for each reads the certificates of the whole web first.
WEB = httpx.Client(verify=False, timeout=30.0, limits=httpx.Limits(max_keepalive_connections=0))
TRACKED_DOMAIN = "tracked.test"  # set to track all
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BOTH = "X-Sendry-Track: opens, clicks"
PIXEL_TAG = re.compile(r'<img src="([^"]+/o/[^"]+)"[^>]*>')


def post(world: World, path: str, body: object) -> dict[str, Any]:
    answer = WEB.post(world.relay.ready["http"] + path, json=body, headers={"Authorization": f"Bearer {world.live_key}"})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def send(world: World, *to: str, html: str, path: str = "/v1/emails", sender: str = AUTHOR, **more: Any) -> str:
    """Sends a message by REST; gives its id."""
    body = {"from": sender, "to": list(to), "subject": "tracked", "html": html, **more}
    return str(post(world, path, body)["id"])


def submit(world: World, content: bytes, *recipients: str) -> str:
    """Sends a message by SMTP; gives its id."""
    host, port = world.relay.smtp
    with smtplib.SMTP(host, port, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
        smtp.mail(AUTHOR, ["BODY=8BITMIME"])
        for recipient in recipients or ("user@example.org",):
            smtp.rcpt(recipient)
        code, reply = smtp.data(content)
    assert code == 250, reply
    return reply.decode().rpartition(" ")[2]


def copy_of(world: World, message_id: str, recipient: str = "user@example.org") -> bytes:
    """What the mail host was given for this recipient, signed as it is."""
    mark = f"id {message_id}".encode()

    def found() -> list[bytes]:
        return [mail.content for mail in world.mailhost.mails if mark in mail.content and recipient in mail.recipients]

    world.wait_until(lambda: bool(found()))
    (content,) = found()
    world.check_signature(content)
    assert dkim.verify(content, dnsfunc=lambda name, **_: (world.published(name.decode()) or "").encode())
    return content


def html_of(content: bytes) -> str:
    """The HTML, as a mail program reads it."""
    for part in email.message_from_bytes(content).walk():
        payload = part.get_payload(decode=True)
        if part.get_content_type() == "text/html" and isinstance(payload, bytes):
            return payload.decode(part.get_content_charset() or "utf-8")
    raise AssertionError("no HTML")


def links(html: str) -> list[str]:
    return [entities.unescape(link) for link in re.findall(r'href="([^"]*)"', html)]


def pixels(html: str) -> list[str]:
    return PIXEL_TAG.findall(html)


def is_tracked(world: World, url: str) -> bool:
    return url.startswith(world.relay.ready["http"] + "/c/")


def restored(html: str) -> str:
    """The HTML without what was put in: each tracked link replaced by where it leads."""
    bare = PIXEL_TAG.sub("", html)
    return re.sub(r'"([^"]+/c/[^"]+)"', lambda found: f'"{entities.escape(WEB.head(found[1]).headers["location"])}"', bare)


def events(world: World, message_id: str, *words: str) -> list[dict[str, Any]]:
    """Its events of these types, oldest first."""
    status, body = world.relay.get(f"/v1/emails/{message_id}/events?limit=100", world.live_key)
    assert status == 200
    return [event for event in reversed(body["data"]) if event["type"] in words]


def wait_events(world: World, message_id: str, count: int, *words: str) -> list[dict[str, Any]]:
    world.wait_until(lambda: len(events(world, message_id, *words)) >= count)
    return events(world, message_id, *words)


def test_each_recipient_has_links_of_its_own(world: World) -> None:
    addresses = ["ann@example.org", "bob@example.org"]
    message_id = send(world, *addresses, html='<p><a href="https://shop.example.org/">x</a></p>', tracking=True)
    found = {address: html_of(copy_of(world, message_id, address)) for address in addresses}
    assert len({pixels(html)[0] for html in found.values()}) == 2
    assert len({links(html)[0] for html in found.values()}) == 2
    for number, (address, html) in enumerate(found.items(), start=1):
        assert WEB.get(pixels(html)[0], headers={"User-Agent": BROWSER}).status_code == 200
        assert WEB.get(links(html)[0], headers={"User-Agent": BROWSER}).headers["location"] == "https://shop.example.org/"
        told = wait_events(world, message_id, 2 * number, "opened", "clicked")[-2:]
        assert [(event["type"], event["recipient"]) for event in told] == [("opened", address), ("clicked", address)]


def test_who_opens_and_clicks_is_judged(world: World) -> None:
    message_id = send(world, "user@example.org", html='<a href="https://shop.example.org/a?b=c">x</a>', tracking=True)
    html = html_of(copy_of(world, message_id))
    ((pixel,), (link,)) = pixels(html), links(html)
    delivered_at = datetime.fromisoformat(wait_events(world, message_id, 1, "delivered")[0]["created_at"])
    visits: list[tuple[str, dict[str, str], str, str]] = [  # what is fetched, by whom, and who opened and clicked by that
        (BROWSER + " hasty", {}, "scanner", "scanner"),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", {}, "privacy_proxy", "scanner"),
        ("Mozilla/5.0", {}, "privacy_proxy", "scanner"),  # Apple's
        ("Mozilla/5.0 SafeLinks", {}, "scanner", "scanner"),
        ("curl/8.5.0", {}, "scanner", "scanner"),
        (BROWSER + " early", {"Purpose": "prefetch"}, "scanner", "scanner"),
        (BROWSER + " prerendering", {"Sec-Purpose": "prefetch;prerender"}, "scanner", "scanner"),
        ("", {}, "scanner", "scanner"),
        (BROWSER, {}, "person", "person"),
    ]
    for agent, fields, _, _ in visits:
        if agent == BROWSER:  # nobody reads within two seconds
            world.wait_until(lambda: SystemClock().now() - delivered_at > timedelta(seconds=2.1))
        for url in (pixel, link):
            WEB.get(url, headers={"User-Agent": agent, **fields})
    told = wait_events(world, message_id, 2 * len(visits), "opened", "clicked")
    opened = {event["metadata"].get("user_agent", ""): event["metadata"] for event in told if event["type"] == "opened"}
    clicked = {event["metadata"].get("user_agent", ""): event["metadata"] for event in told if event["type"] == "clicked"}
    assert len(told) == 2 * len(visits)
    for agent, _, opened_by, clicked_by in visits:
        assert opened[agent]["opened_by"] == opened_by, agent
        assert clicked[agent]["clicked_by"] == clicked_by, agent
        assert (clicked[agent]["link"], clicked[agent]["ip"]) == ("https://shop.example.org/a?b=c", "127.0.0.1")


def test_looking_without_opening_counts_nothing(world: World) -> None:
    message_id = send(world, "user@example.org", html='<a href="https://shop.example.org/">x</a>', tracking=True)
    html = html_of(copy_of(world, message_id))
    ((pixel,), (link,)) = pixels(html), links(html)
    only_looking = {"User-Agent": "only looking"}  # who repeats itself within a second counts once
    head, get = WEB.head(link, headers=only_looking), WEB.get(link)
    assert (head.status_code, head.headers["location"]) == (302, "https://shop.example.org/")
    for answer in (head, get):
        assert answer.status_code == 302
        assert "no-store" in answer.headers["cache-control"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in answer.headers["x-robots-tag"]
        assert "set-cookie" not in answer.headers
    seen = WEB.head(pixel, headers=only_looking)
    assert (seen.status_code, seen.headers["content-type"], seen.content) == (200, "image/gif", b"")
    image = WEB.get(pixel)
    assert (len(image.content), image.content[:6], image.headers["content-type"]) == (43, b"GIF89a", "image/gif")
    for method in ("POST", "PUT", "DELETE"):
        assert WEB.request(method, link, headers=only_looking).status_code == 405
        assert WEB.request(method, pixel, headers=only_looking).status_code == 405
    wait_events(world, message_id, 2, "opened", "clicked")
    WEB.get(pixel, headers={"User-Agent": "marks the end"})
    told = wait_events(world, message_id, 3, "opened", "clicked")
    assert len(told) == 3
    assert "only looking" not in {event["metadata"]["user_agent"] for event in told}


def test_a_changed_link_leads_nowhere(world: World) -> None:
    first = send(world, "user@example.org", html='<a href="https://shop.example.org/">x</a>', tracking=True)
    second = send(world, "user@example.org", html='<a href="https://bank.example.org/">x</a>', tracking=True)
    html, other = html_of(copy_of(world, first)), html_of(copy_of(world, second))
    ((pixel,), (link,), (foreign,)) = pixels(html), links(html), links(other)
    base, token = link.rsplit("/", 1)
    middle, swapped = len(token) // 2, {"A": "B"}
    changed = [
        "",
        token[:-1],
        token[1:],
        token + "A",
        token + "=",
        token + "==",
        token[:middle] + swapped.get(token[middle], "A") + token[middle + 1 :],
        token[:-1] + swapped.get(token[-1], "A"),
        token[:-22] + foreign.rsplit("/", 1)[1][-22:],  # the other message's signature
        token + "/https://evil.example.org/",
        token + "%00",
        token + "%0d%0aLocation:%20https://evil.example.org/",
        "../c/" + token + ".",
        token.swapcase(),
        base64.urlsafe_b64encode(b"c" + bytes(8) + b"https://evil.example.org/" + bytes(16)).decode().rstrip("="),
        "https://evil.example.org/",
        "?url=https://evil.example.org/",
        "a" * 10_000,
        pixel.rsplit("/", 1)[1],  # good, but no link's
    ]
    with httpx.Client() as client:
        for text in changed:
            answer = client.get(f"{base}/{text}")
            assert answer.status_code == 404, text
            assert "location" not in answer.headers, text
            assert "evil" not in answer.text, text
            unsubscribe = client.post(f"{base[:-1]}u/{text}", data={"List-Unsubscribe": "One-Click"})
            assert unsubscribe.status_code in {404, 405}, text
        for text in (token + "a", "x", token):
            assert len(client.get(f"{pixel.rsplit('/', 1)[0]}/{text}").content) == 43
        answer = client.get(link + "?url=https://evil.example.org/")
        assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example.org/")
        answer = client.get(link, headers={"Host": "evil.example.org", "X-Forwarded-Host": "evil.example.org"})
        assert answer.headers["location"] == "https://shop.example.org/"
    told = wait_events(world, first, 1, "clicked")
    assert not events(world, first, "opened", "unsubscribed")
    assert {event["metadata"]["link"] for event in told} == {"https://shop.example.org/"}
    assert not events(world, second, "opened", "clicked", "unsubscribed")


TARGETS = {
    "https://shop.example.org/a?b=1&amp;c=2#part": "https://shop.example.org/a?b=1&c=2#part",
    "http://shop.example.org/%2F%3f?u=https://a.test/?x=y": "http://shop.example.org/%2F%3f?u=https://a.test/?x=y",
    "https://user@shop.example.org:8443/": "https://user@shop.example.org:8443/",
    "https://b\u00fccher.example/\u00fc?q=\u20ac": "https://xn--bcher-kva.example/%C3%BC?q=%E2%82%AC",
    "HTTPS://Shop.example.org": "HTTPS://Shop.example.org",
    "https://shop.example.org/?next=//evil.test&amp;r=%0d%0a": "https://shop.example.org/?next=//evil.test&r=%0d%0a",
    "https://shop.example.org/" + "x" * 2000: "https://shop.example.org/" + "x" * 2000,
}


def test_a_tracked_link_leads_where_it_led(world: World) -> None:
    html = "".join(f'<a href="{url}">x</a>' for url in TARGETS)
    found = links(html_of(copy_of(world, send(world, "user@example.org", html=html, tracking=True))))
    assert all(is_tracked(world, url) for url in found)
    assert [WEB.head(url).headers["location"] for url in found] == list(TARGETS.values())


def test_only_a_post_unsubscribes(world: World) -> None:
    html = '<a href="https://shop.example.org/off">off</a>'
    more: dict[str, Any] = {"path": "/v1/emails/marketing", "unsubscribe_url": "https://shop.example.org/off", "html": html}
    message_id = send(world, "leaver@example.org", **more)
    content = copy_of(world, message_id, "leaver@example.org")
    header = re.sub(rb"\r\n[ \t]+", b" ", content.partition(b"\r\n\r\n")[0]).decode()
    ours, theirs = re.findall(r"<([^>]*)>", re.search(r"(?m)^List-Unsubscribe: (.*)$", header)[1])  # type: ignore[index]
    assert theirs == "https://shop.example.org/off"
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click" in header
    for method, fields in (
        ("GET", {"User-Agent": BROWSER}),
        ("GET", {"User-Agent": "Mozilla/5.0 SafeLinks"}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("HEAD", {"User-Agent": BROWSER}),
    ):
        answer = WEB.request(method, ours, headers=fields)
        assert answer.status_code == 200
        assert "form-action" in answer.headers["content-security-policy"]
    assert WEB.post(ours).status_code == 400
    assert WEB.post(ours, data={"List-Unsubscribe": "Two-Clicks"}).status_code == 400
    assert WEB.put(ours, data={"List-Unsubscribe": "One-Click"}).status_code == 405
    assert not events(world, message_id, "unsubscribed")
    copy_of(world, send(world, "leaver@example.org", **more), "leaver@example.org")  # still on the list

    for _ in range(2):
        assert WEB.post(ours, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    (event,) = events(world, message_id, "unsubscribed")
    assert event["recipient"] == "leaver@example.org"
    listed = world.relay.get("/v1/unsubscribes?limit=100", world.live_key)[1]["data"]
    assert [row["email"] for row in listed].count("leaver@example.org") == 1
    skipped = send(world, "leaver@example.org", **more)
    assert [event["metadata"]["reason"] for event in events(world, skipped, "suppressed")] == ["unsubscribe"]
    copy_of(world, send(world, "leaver@example.org", html="<p>Your order</p>"), "leaver@example.org")


def test_the_button_of_the_page_unsubscribes(world: World) -> None:
    more = {"path": "/v1/emails/marketing", "unsubscribe_url": "https://shop.example.org/off", "list_id": "news"}
    content = copy_of(world, send(world, "presser@example.org", html="<p>News</p>", **more), "presser@example.org")
    ours = re.search(rb"<(http://[^>]*/u/[^>]*)>", content)[1].decode()  # type: ignore[index]
    page = WEB.get(ours).text
    (form,) = re.findall(r"(?s)<form[^>]*>.*?</form>", page)
    fields = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', form))
    assert "<script" not in page
    answer = WEB.post(ours, data=fields)
    assert answer.status_code == 200
    skipped = send(world, "presser@example.org", html="<p>News</p>", **more)
    assert events(world, skipped, "suppressed")
    copy_of(world, send(world, "presser@example.org", html="<p>x</p>", **{**more, "list_id": "offers"}), "presser@example.org")


@pytest.fixture(scope="module")
def tracked_world(world: World) -> Iterator[World]:
    """With a second domain that is set to track all."""
    client = Sendry(world.live_key, base_url=world.relay.ready["http"], retries=0)
    domain = client.domains.create({"name": TRACKED_DOMAIN})
    for record in domain["dns_records"]:
        world.nameserver.set_text(record["host"], record["value"])
    assert client.domains.verify(domain["id"])["status"] == "verified"
    path, settings = f"/v1/domains/{domain['id']}", {"tracking": {"opens": True, "clicks": True}}
    answer = WEB.patch(world.relay.ready["http"] + path, json=settings, headers={"Authorization": f"Bearer {world.live_key}"})
    assert answer.json()["tracking"] == {"opens": True, "clicks": True}
    world.wait_for_config_change()
    yield world
    client.domains.remove(domain["id"])


@pytest.mark.parametrize(
    ("domain", "order", "opens", "clicks"),
    [
        (SENDING_DOMAIN, None, False, False),
        (SENDING_DOMAIN, True, True, True),
        (SENDING_DOMAIN, False, False, False),
        (TRACKED_DOMAIN, None, True, True),
        (TRACKED_DOMAIN, True, True, True),
        (TRACKED_DOMAIN, False, False, False),
        (SENDING_DOMAIN, "", False, False),
        (SENDING_DOMAIN, "opens", True, False),
        (SENDING_DOMAIN, "clicks", False, True),
        (TRACKED_DOMAIN, "", True, False),  # by SMTP links are wrapped only if the header asks for it
        (TRACKED_DOMAIN, "none", False, False),
        (TRACKED_DOMAIN, "clicks", False, True),
        (TRACKED_DOMAIN, "opens, clicks", True, True),
    ],
)
def test_what_is_tracked(tracked_world: World, domain: str, order: bool | str | None, opens: bool, clicks: bool) -> None:
    """By the field of the REST API (true, false or none), or by the header (a text)."""
    world, html, sender = tracked_world, '<a href="https://shop.example.org/">x</a>', f"hello@{domain}"
    if isinstance(order, str):
        field = f"X-Sendry-Track: {order}\r\n" if order else ""
        content = f"From: {sender}\r\nTo: user@example.org\r\nSubject: s\r\n{field}Content-Type: text/html\r\n\r\n{html}\r\n"
        message_id = submit(world, content.encode())
    else:
        more: dict[str, Any] = {} if order is None else {"tracking": order}
        message_id = send(world, "user@example.org", html=html, sender=sender, **more)
    found = html_of(copy_of(world, message_id))
    assert bool(pixels(found)) is opens
    assert is_tracked(world, links(found)[0]) is clicks
    if not opens and not clicks:
        assert found.strip() == html


LETTER = (
    "<!DOCTYPE html>\r\n<html><head><style>a { color: red }</style></head>\r\n<body>\r\n<p>Gr\u00fc\u00dfe  = &euro; </p>\r\n.\r\n"
    '<a class=b href="https://shop.example.org/?a=1&amp;b=2">tea</a>\r\n<!-- <a href="https://c.test/"> -->\r\n</body></html>\r\n'
)
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "8bit": lambda octets: octets,
    "7bit": lambda octets: octets.replace("\u00fc\u00df".encode(), b"ue&szlig;"),
    "base64": lambda octets: base64.encodebytes(octets).replace(b"\n", b"\r\n"),
    "quoted-printable": lambda octets: quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("kind", ["alone", "alternative", "related in mixed"])
def test_a_body_keeps_its_encoding_and_all_other_octets(world: World, encoding: str, kind: str) -> None:
    encoded = ENCODERS[encoding](LETTER.encode())
    head = f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\nX-Odd:   kept \r\n\r\n".encode()
    text = b"Content-Type: text/plain\r\n\r\nhttps://shop.example.org/ </body>\r\n"
    image = b"Content-Type: image/png; name=x.png\r\nContent-ID: <x>\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n"
    page = b"Content-Type: text/html\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n<a href='https://shop.example.org/'>\r\n"
    before, after = {
        "alone": (b"", b""),
        "alternative": (
            b'Content-Type: multipart/alternative; boundary="=_b"\r\n\r\nfor old programs\r\n--=_b\r\n' + text + b"--=_b\r\n",
            b"\r\n--=_b--\r\nbehind it\r\n",
        ),
        "related in mixed": (
            b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n--r\r\n",
            b"\r\n--r\r\n" + image + b"--r--\r\n--m\r\n" + page + b"--m--\r\n",
        ),
    }[kind]
    start = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n{BOTH}\r\nMIME-Version: 1.0\r\n".encode()
    content = copy_of(world, submit(world, start + before + head + encoded + after))
    position = content.index(b"MIME-Version: 1.0\r\n") + len(b"MIME-Version: 1.0\r\n")
    arrived = content[position:]
    assert arrived.startswith(before + head)
    assert arrived.endswith(after)
    html = html_of(content)
    assert len(pixels(html)) == 1
    assert is_tracked(world, links(html)[0])
    assert links(html)[1:] == ["https://c.test/"]
    original = html_of(start + before + head + encoded + after)
    assert restored(html).rstrip("\r\n") == original.rstrip("\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998


def test_links_that_are_left_alone(world: World) -> None:
    alone = [
        "mailto:help@example.test?subject=x",
        "tel:+4912345",
        "#top",
        "/relative",
        "//shop.example.org/",
        "javascript:alert(1)",
        "data:text/html,x",
        "cid:logo",
        "ftp://shop.example.org/",
        "https://shop.example.org/off?u=1",
        "https://shop.example.org/also-off",
    ]
    marked = '<a href="https://shop.example.org/quiet" data-sendry-no-track>x</a>'
    html = "".join(f'<a href="{url}">x</a>' for url in alone) + marked + '<a href="https://shop.example.org/">x</a>'
    fields = (
        "List-Unsubscribe: <mailto:off@example.test>,\r\n <https://shop.example.org/also-off>\r\n"
        "X-Sendry-Unsubscribe-Url: https://shop.example.org/off?u=1\r\n"
    )
    parts = (
        f"--b\r\nContent-Type: text/plain\r\n\r\nSee https://shop.example.org/\r\n--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n--b--\r\n"
    )
    content = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n{fields}{BOTH}\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n{parts}"
    arrived = copy_of(world, submit(world, content.encode(), "alone@example.org"), "alone@example.org")
    found = links(html_of(arrived))
    assert found[:-1] == [*alone, "https://shop.example.org/quiet"]
    assert is_tracked(world, found[-1])
    assert marked in html_of(arrived)
    assert b"\r\nSee https://shop.example.org/\r\n" in arrived


INNER = 'Content-Type: text/html\r\n\r\n<body><a href="https://shop.example.org/">x</a></body>\r\n'
PROTECTED = {
    "signed by OpenPGP": 'multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha256; boundary=s\r\n\r\n'
    f"--s\r\n{INNER}--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n",
    "signed by S/MIME": 'multipart/signed; protocol="application/pkcs7-signature"; boundary=s\r\n\r\n'
    f"--s\r\n{INNER}--s\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--s--\r\n",
    "signed within": f"multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n{INNER}--s--\r\n--m--\r\n",
    "opaque S/MIME": "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n",
    "encrypted by OpenPGP": 'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\r\n\r\n'
    f"--e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--e\r\n{INNER}--e--\r\n",
    "a text": "text/plain\r\n\r\n<body><a href='https://shop.example.org/'></body>\r\n",
    "a forwarded message": f"message/rfc822\r\n\r\nSubject: inner\r\n{INNER}",
    "a calendar": 'text/calendar\r\n\r\n<a href="https://shop.example.org/">\r\n',
}


@pytest.mark.parametrize("kind", PROTECTED)
def test_what_must_not_be_changed_arrives_octet_for_octet(world: World, kind: str) -> None:
    entity = f"Content-Type: {PROTECTED[kind]}".encode()
    start = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n{BOTH}\r\nMIME-Version: 1.0\r\n".encode()
    content = copy_of(world, submit(world, start + entity))
    assert content.endswith(b"\r\nMIME-Version: 1.0\r\n" + entity)


@pytest.fixture(scope="module")
def public_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Behind another address, with a receiving server that takes 7-bit text only."""
    with World(tmp_path_factory.mktemp("public"), env={"SENDRYD_PUBLIC_URL": "https://links.example.test/mail/"}) as made:
        made.mailhost.extensions = ("PIPELINING",)
        yield made


def test_links_outlive_a_kill_and_stand_under_the_public_url(public_world: World) -> None:
    world = public_world
    message_id = send(world, "user@example.org", html='<a href="https://shop.example.org/">x</a>', tracking=True)
    html = html_of(copy_of(world, message_id))
    ((pixel,), (link,)) = pixels(html), links(html)
    assert pixel.startswith("https://links.example.test/mail/o/")
    assert link.startswith("https://links.example.test/mail/c/")
    world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
    world.relay.kill()
    world.relay.start()
    answer = WEB.get(world.relay.ready["http"] + urlsplit(link).path.removeprefix("/mail"), headers={"User-Agent": BROWSER})
    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example.org/")
    assert wait_events(world, message_id, 1, "clicked")


def test_copies_for_a_server_that_takes_7_bit_text_only(public_world: World) -> None:
    addresses = ["ann@example.org", "bob@example.org", "eve@example.org"]
    start = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n{BOTH}\r\nMIME-Version: 1.0\r\n"
    content = f"{start}Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{LETTER}"
    message_id = submit(public_world, content.encode(), *addresses)
    found = {address: copy_of(public_world, message_id, address) for address in addresses}
    assert all(each.isascii() for each in found.values())
    assert all("Gr\u00fc\u00dfe" in html_of(each) for each in found.values())
    assert len({pixels(html_of(each))[0] for each in found.values()}) == 3
