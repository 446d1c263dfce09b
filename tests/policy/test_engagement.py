"""Who opened or clicked."""

import pytest

from sendryd.policy.engagement import (
    MAX_LINK,
    MAX_USER_AGENT,
    Engager,
    Visit,
    classify,
    describe_client,
    engagement_metadata,
    is_prefetch,
)
from sendryd.testing.cases import cases

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17628; Pro)"
CUBOT = "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 "
    "Edge/12.246 Mozilla/5.0"
)


def who(user_agent: str, *, is_click: bool = False, is_prefetch: bool = False, since: float | None = 3600.0) -> Engager:
    return classify(Visit(is_click=is_click, user_agent=user_agent, is_prefetch=is_prefetch, since_delivery=since))


@cases("agent", [CHROME, IPHONE, OUTLOOK, CUBOT, "Thunderbird/128.0"])
@cases("is_click", [False, True])
def test_browsers_and_mail_programs_are_people(agent: str, is_click: bool) -> None:
    assert who(agent, is_click=is_click) is Engager.PERSON


@pytest.mark.parametrize("agent", [GMAIL, "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "Mozilla/5.0"])
def test_proxies_that_fetch_images_hide_the_reader_and_never_click(agent: str) -> None:
    assert who(agent) is Engager.PRIVACY_PROXY
    assert who(agent, since=0.1) is Engager.PRIVACY_PROXY
    assert who(agent, is_click=True) is Engager.SCANNER


@cases(
    "agent",
    [
        "",
        "  ",
        GMAIL_PREFETCH,
        CHROME + " BingPreview/1.0b",
        "Barracuda Sentinel (EE)",
        "Mimecast URL Protect",
        "Proofpoint/1.0",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "WhatsApp/2.23",
        "curl/8.5.0",
        "python-requests/2.32",
        "Java/17.0.1",
        "Go-http-client/2.0",
        "Apache-HttpClient/4.5",
        CHROME.replace("Chrome/", "HeadlessChrome/"),
    ],
)
@cases("is_click", [False, True])
def test_machines_are_scanners(agent: str, is_click: bool) -> None:
    assert who(agent, is_click=is_click) is Engager.SCANNER


@cases(
    ("is_click", "since", "engager"),
    [
        (False, -3.0, Engager.SCANNER),
        (False, 0.9, Engager.SCANNER),
        (False, 1.0, Engager.PERSON),
        (True, 0.0, Engager.SCANNER),
        (True, 1.9, Engager.SCANNER),
        (True, 2.0, Engager.PERSON),
        (True, None, Engager.PERSON),
    ],
)
def test_haste_gives_a_machine_away(is_click: bool, since: float | None, engager: Engager) -> None:
    assert who(CHROME, is_click=is_click, since=since) is engager


@cases(
    ("headers", "expected"),
    [
        ({}, False),
        ({"purpose": "prefetch"}, True),
        ({"sec-purpose": "prefetch;prerender"}, True),
        ({"x-purpose": "preview"}, True),
        ({"x-moz": "Prefetch"}, True),
        ({"sec-purpose": ""}, False),
        ({"referer": "https://prefetch.example"}, False),
    ],
)
def test_what_says_that_it_is_fetched_in_advance(headers: dict[str, str], expected: bool) -> None:
    assert is_prefetch(headers) is expected
    assert who(CHROME, is_prefetch=expected) is (Engager.SCANNER if expected else Engager.PERSON)


def test_an_event_keeps_what_was_seen() -> None:
    opened = engagement_metadata(Engager.PERSON, user_agent=CHROME, ip="192.0.2.7", link=None)
    assert opened == {"opened_by": "person", "user_agent": CHROME, "ip": "192.0.2.7"}
    clicked = engagement_metadata(Engager.SCANNER, user_agent="", ip=None, link="https://example.com/")
    assert clicked == {"clicked_by": "scanner", "link": "https://example.com/"}


def test_what_strangers_say_is_shortened_and_printable() -> None:
    kept = describe_client("a\x1b[2J\r\nb\u2028" + "x" * 1000, "1" * 100)
    assert kept["user_agent"] == "a[2Jb" + "x" * (MAX_USER_AGENT - 9)
    assert len(str(kept["ip"])) == 45
    link = engagement_metadata(Engager.PERSON, user_agent="", ip=None, link="https://e/" + "x" * 9000)["link"]
    assert len(str(link)) == MAX_LINK
    assert describe_client("\x00", "") == {}
