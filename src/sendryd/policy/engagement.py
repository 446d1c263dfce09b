"""Classifies opens and clicks: by a person, a scanner, or a privacy proxy. A classification never drops an event.

Most requests for pixels and tracked links come from machines: security gateways that follow every link before the mail is shown, and mailbox
providers that fetch the images of all mail to hide readers. The table lists the user agents of machines that name themselves; machines that pose as
browsers are recognised by their speed. Every event keeps the user agent and the address, so that it can be classified again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sendryd.model.event import Metadata

SOONEST_OPEN: Final = 1.0  # seconds after delivery: no mail program fetches and shows the mail sooner
SOONEST_CLICK: Final = 2.0  # seconds after delivery: a person reads before clicking
MAX_USER_AGENT: Final = 256  # characters; honest ones are shorter
MAX_IP: Final = 45  # characters: an IPv6 address with an embedded IPv4 address
MAX_LINK: Final = 2048  # characters of a URL that an event keeps


class Engager(StrEnum):
    """The words in events; they never change."""

    PERSON = "person"  # probably a person
    SCANNER = "scanner"  # a machine; no person has seen the message
    PRIVACY_PROXY = "privacy_proxy"  # the mailbox provider on the reader's behalf, when the message was read or before


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request for a pixel or a tracked link."""

    is_click: bool
    user_agent: str  # empty if it had none
    is_prefetch: bool  # from `is_prefetch`
    since_delivery: float | None  # seconds; negative: before the receiving server took the message; None: unknown


def _pattern(*texts: str) -> re.Pattern[str]:
    return re.compile("|".join(texts), re.IGNORECASE | re.ASCII)


# User agents that name themselves. The first match counts.
USER_AGENTS: Final[tuple[tuple[re.Pattern[str], Engager, str], ...]] = (
    (_pattern(r"GoogleImageProxy|ggpht\.com"), Engager.PRIVACY_PROXY, "Gmail shows images through it since 2013"),
    (_pattern(r"YahooMailProxy"), Engager.PRIVACY_PROXY, "Yahoo and AOL show images through it"),
    (_pattern(r"\AMozilla/5\.0\Z"), Engager.PRIVACY_PROXY, "Apple Mail Privacy Protection says this and nothing more (since iOS 15)"),
    (_pattern(r"Edge/12\.246 Mozilla/5\.0\Z"), Engager.SCANNER, "Gmail's prefetch while a mailbox is open, before a mail is shown"),
    (_pattern(r"SafeLinks|BingPreview|Microsoft-URLAnalyzer|MicrosoftPreview"), Engager.SCANNER, "Microsoft Defender: Safe Links"),
    (_pattern(r"Proofpoint|urldefense"), Engager.SCANNER, "Proofpoint"),
    (_pattern(r"Mimecast"), Engager.SCANNER, "Mimecast"),
    (_pattern(r"Barracuda"), Engager.SCANNER, "Barracuda, among them Barracuda Sentinel"),
    (_pattern(r"IronPort|Cisco-?Talos|Symantec|MessageLabs|Sophos|Trend ?Micro|FireEye"), Engager.SCANNER, "mail gateways"),
    (_pattern(r"Forcepoint|Fortinet|FortiMail|FortiGuard|SonicWall|Zscaler|CheckPoint|McAfee"), Engager.SCANNER, "mail and web gateways"),
    (_pattern(r"Cloudmark|Kaspersky|Bitdefender|Avanan|Vade ?Secure|ZeroFOX|Cyren|Hornetsecurity|SpamTitan"), Engager.SCANNER, "filters"),
    (_pattern(r"facebookexternalhit|WhatsApp|SkypeUriPreview|Iframely|Embedly"), Engager.SCANNER, "previews of links in chats"),
    (_pattern(r"HeadlessChrome|PhantomJS|Puppeteer|Playwright|Selenium"), Engager.SCANNER, "browsers that nobody looks at"),
    (
        _pattern(
            r"\A(?:curl|wget|java|ruby|okhttp|axios|undici|got)\b", "python", "Go-http-client", "libwww-perl", "HttpClient", "node-fetch"
        ),
        Engager.SCANNER,
        "programs",
    ),
    # "Cubot" is a make of telephones.
    (
        _pattern(r"(?<!cu)bot\b", "crawler", "spider", "scanner", "slurp", "url ?check", "link ?check"),
        Engager.SCANNER,
        "what says so itself",
    ),
)
_PREFETCH_FIELDS: Final = ("purpose", "sec-purpose", "x-purpose", "x-moz")
_PREFETCH_WORDS: Final = _pattern("prefetch", "prerender", "preview")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether a request's fields (names in lower case) mark it as a prefetch: Purpose, Sec-Purpose, X-Purpose, X-Moz."""
    return any(_PREFETCH_WORDS.search(headers.get(name, "")) for name in _PREFETCH_FIELDS)


def classify(visit: Visit) -> Engager:
    """Classifies a request."""
    if visit.is_prefetch or not visit.user_agent.strip():
        return Engager.SCANNER
    known = next((engager for pattern, engager, _ in USER_AGENTS if pattern.search(visit.user_agent)), None)
    if known is not None:
        # Proxies fetch only images; a click with a proxy's name is a malware scan.
        return Engager.SCANNER if visit.is_click else known
    soonest = SOONEST_CLICK if visit.is_click else SOONEST_OPEN
    if visit.since_delivery is not None and visit.since_delivery < soonest:
        return Engager.SCANNER
    return Engager.PERSON


def describe_client(user_agent: str, ip: str | None) -> dict[str, object]:
    """The metadata of a request's client: `user_agent` and `ip`, shortened, without unprintable characters."""
    kept: dict[str, object] = {}
    agent = _UNPRINTABLE.sub("", user_agent[:MAX_USER_AGENT])
    if agent:
        kept["user_agent"] = agent
    if ip:
        kept["ip"] = _UNPRINTABLE.sub("", ip[:MAX_IP])
    return kept


def engagement_metadata(engager: Engager, *, user_agent: str, ip: str | None, link: str | None) -> Metadata:
    """The metadata of the event of an open (`link` is None) or a click."""
    client = describe_client(user_agent, ip)
    if link is None:
        return {"opened_by": engager.value, **client}
    return {"clicked_by": engager.value, **client, "link": link[:MAX_LINK]}
