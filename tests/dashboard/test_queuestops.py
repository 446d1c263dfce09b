"""What operators stop and let go on with a button: sites, addresses and pools that mail leaves from, and what replies have brought."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import Script
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import PATIENT, Browser, become_owner

pytestmark = pytest.mark.sockets

RULES = (
    '[provider.strict]\nmx = ["mx.example.org"]\n[[provider.strict.reply]]\nmatch = "go away"\nmatches = 1\nsuspend = true\nfor = "2h"\n'
)
ADDRESS, OTHER = "127.0.0.1", "127.0.0.5"
REPLY = "450 4.7.1 Too many messages, go away"


@dataclass
class Shaped:
    """A world with a pool of one address, and a receiver that can be made strict."""

    world: World
    owner: Browser
    is_strict: bool = False

    def send(self, name: str) -> str:
        body = {"from": f"shop@{SENDING_DOMAIN}", "to": f"{name}@{RECIPIENT_DOMAIN}", "subject": name, "text": "x"}
        return str(RestClient(self.world.relay, self.world.live_key).post("/v1/emails", body)["id"])

    def explanation(self, number: str) -> str:
        return str(self.world.relay.json("queue", "show", number)["data"][0]["explanation"])

    def press(self, path: str, page: str, **fields: str) -> None:
        """Presses a button that must be there for these fields."""
        shown = html.unescape(self.owner.get(page).text)
        forms = re.findall(rf'<form[^>]*action="{path}".*?</form>', shown, re.DOTALL)
        kept = {name: value for name, value in fields.items() if name not in {"for", "reason"}}
        assert any(all(f'name="{name}" value="{value}"' in form for name, value in kept.items()) for form in forms), (path, fields)
        assert self.owner.send(path, fields, page=page).status == 303

    def audit(self) -> set[str]:
        return set(re.findall(r'data-status="([\w.]+)"', self.owner.get("/audit").text))


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shaped]:
    folder = tmp_path_factory.mktemp("shaped")
    rules = folder / "rules.toml"
    rules.write_text(RULES, "utf-8")
    env = {
        **PATIENT,
        "SENDRYD_SHAPING_FILE": str(rules),
        "SENDRYD_EGRESS": f"default {ADDRESS} a.example.com, bulk {OTHER} b.example.com",
    }
    script = Script()
    with World(folder / "world", env=env, script=script) as world:
        made = Shaped(world, become_owner(world.relay))
        script.command = lambda verb, _line: REPLY if made.is_strict and verb == "MAIL" else None
        yield made


def test_an_address_is_suspended_from_health_and_goes_on_from_the_queue(shaped: Shaped) -> None:
    shaped.press("/queue/stop", "/health", kind="address", name=ADDRESS, **{"for": "hour", "reason": "listed"})
    words = f"The address {ADDRESS} is suspended until"
    shaped.world.wait_until(lambda: words in shaped.owner.get("/queue"))
    shaped.world.wait_for_config_change()
    shaped.world.wait_for_config_change()  # the delivery engine looks once a second
    number = shaped.send("address")
    shaped.world.wait_until(lambda: f"{ADDRESS} is suspended" in shaped.explanation(number))
    assert "listed" in shaped.owner.get("/health")
    shaped.press("/queue/go-on", "/queue", kind="address", name=ADDRESS)
    shaped.world.relay.wait_for_status(number, {"delivered"}, key=shaped.world.live_key)
    assert words not in shaped.owner.get("/queue")
    assert {"egress.suspended", "egress.resumed"} <= shaped.audit()


def test_a_pool_is_suspended_and_goes_on_from_health(shaped: Shaped) -> None:
    shaped.press("/queue/stop", "/health", kind="pool", name="bulk")
    assert "The pool bulk is suspended until it is resumed" in shaped.owner.get("/queue")
    shaped.press("/queue/go-on", "/health", kind="pool", name="bulk")
    assert "The pool bulk" not in shaped.owner.get("/queue")


def test_a_site_is_stopped_from_health_and_goes_on_from_the_queue(shaped: Shaped) -> None:
    shaped.world.relay.wait_for_status(shaped.send("first"), {"delivered"}, key=shaped.world.live_key)
    shaped.world.wait_until(lambda: 'data-site="strict"' in shaped.owner.get("/health").text)
    shaped.press("/queue/stop", "/health", kind="site", name="strict", reason="they asked us to")
    shaped.world.wait_until(lambda: '"domains": ["strict"]' in shaped.world.relay.log_tail(20_000))
    number = shaped.send("stopped")
    shaped.world.wait_until(lambda: "they asked us to" in shaped.explanation(number))
    shaped.press("/queue/go-on", "/queue", kind="destination", name="strict")
    shaped.world.relay.wait_for_status(number, {"delivered"}, key=shaped.world.live_key)
    assert {"queue.paused", "queue.resumed"} <= shaped.audit()


@pytest.mark.parametrize("page", ["/health", f"/queue/{RECIPIENT_DOMAIN}"])
def test_what_replies_have_brought_is_ended(shaped: Shaped, page: str) -> None:
    shaped.is_strict = True
    first = shaped.send("brings")
    shaped.world.wait_until(lambda: "deferred" in RestClient(shaped.world.relay, shaped.world.live_key).events(first))
    shaped.is_strict = False
    second = shaped.send("waits")
    shaped.world.wait_until(lambda: "shaping rule strict/1" in shaped.explanation(second))
    shaped.world.wait_until(lambda: "strict/1" in shaped.owner.get(page))
    shaped.press("/queue/relax", page, site="strict", rule="strict/1")
    shaped.world.relay.wait_for_status(second, {"delivered"}, key=shaped.world.live_key)
    shaped.world.wait_until(lambda: "strict/1" not in shaped.owner.get("/health"))
    assert "site.relaxed" in shaped.audit()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/queue/stop", {"kind": "address", "name": "192.0.2.9"}),
        ("/queue/stop", {"kind": "address", "name": "x"}),
        ("/queue/stop", {"kind": "pool", "name": "nowhere"}),
        ("/queue/stop", {"kind": "account", "name": "org_1"}),
        ("/queue/stop", {"kind": "site", "name": ""}),
        ("/queue/stop", {"kind": "site", "name": "strict", "for": "ever"}),
        ("/queue/go-on", {"kind": "moon", "name": "x"}),
        ("/queue/go-on", {"kind": "account", "name": "x"}),
    ],
)
def test_what_no_page_offers_is_missing(shaped: Shaped, path: str, fields: dict[str, str]) -> None:
    assert shaped.owner.send(path, fields, page="/queue").status == 404


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/queue/go-on", {"kind": "pool", "name": "bulk"}),
        ("/queue/go-on", {"kind": "destination", "name": "nobody.test"}),
        ("/queue/relax", {"site": "nobody.test", "rule": "x/1"}),
    ],
)
def test_what_is_over_already_is_no_fault(shaped: Shaped, path: str, fields: dict[str, str]) -> None:
    assert shaped.owner.send(path, fields, page="/queue").status == 303
