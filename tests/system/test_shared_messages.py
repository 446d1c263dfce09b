"""The page of a shared message by the real program: whatever its HTML, the browser of whoever opens it connects to nobody."""

import re

import httpx

from sendryd.testing.world import SENDING_DOMAIN, World

HTML = """<html><head><title>News</title><link rel="preconnect" href="https://evil.test"><META HTTP-EQUIV=refresh CONTENT="0;url=//evil.test">
<base href="//evil.test"><style>@import "//evil.test"; td { color: red; background: #fee url(//evil.test/a.png) }</style></head>
<body bgcolor="#eeeeee" background="//evil.test" onload="fetch('//evil.test')"><!--[if mso]><img src="//evil.test"><![endif]-->
<table><tr><td><h1>Gr\u00fc\u00dfe</h1><script src="//evil.test"></script><iframe src="//evil.test"></iframe>
<form action="//evil.test"><button formaction="//evil.test">press</button></form><img src="https://evil.test/b.png" alt="a picture">
<svg><image href="//evil.test"/></svg><a href="java&#10;script:fetch('//evil.test')">run</a>
<a href="https://shop.example.org/" ping="//evil.test">shop</a></td></tr></table></body></html>"""


def shared(world: World, html: str) -> str:
    """Sends a message; gives the link to its page, as a browser here reaches it."""
    key = {"Authorization": f"Bearer {world.live_key}"}
    body = {
        "from": f"hello@{SENDING_DOMAIN}",
        "to": ["user@example.org"],
        "subject": "News",
        "html": html,
        "text": "the text",
        "tracking": False,
    }
    sent = httpx.post(f"{world.relay.ready['http']}/v1/emails", json=body, headers=key)
    assert sent.status_code == 200, sent.text
    link = httpx.get(f"{world.relay.ready['http']}/v1/emails/{sent.json()['id']}/share", headers=key).json()["url"]
    return str(link)


def framed(link: str) -> httpx.Response:
    page = httpx.get(link)
    assert page.status_code == 200
    source = re.search(r'<iframe src="([^"]+)"', page.text)
    assert source is not None
    return httpx.get(httpx.URL(link).join(source[1]), timeout=30)


def test_a_hostile_design_is_shown_and_connects_to_nobody(world: World) -> None:
    answer = framed(shared(world, HTML))
    assert answer.status_code == 200
    assert "evil.test" not in answer.text
    assert not re.search(r"<(?:link|meta|base|script|iframe|form|svg|!--)|@import|javascript:|\son\w+=", answer.text, re.IGNORECASE)
    for kept in (
        "<h1>Gr\u00fc\u00dfe</h1>",
        "background: #fee none",
        'bgcolor="#eeeeee"',
        'alt="a picture"',
        'href="https://shop.example.org/"',
    ):
        assert kept in answer.text, kept
    assert answer.headers["content-security-policy"].startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none';")
    assert answer.headers["x-dns-prefetch-control"] == "off"


def test_a_design_that_is_too_complex_is_shown_as_text(world: World) -> None:
    answer = framed(shared(world, "<link rel=preconnect href=//evil.test>" + "<b>" * 20_000))
    assert "too large or too complex to be shown" in answer.text
    assert "<pre>\nthe text" in answer.text
    assert "evil.test" not in answer.text
