"""Every page of the dashboard with something on it: usual values, and the nastiest that strangers and apps can fill in."""

import html
import re
from urllib.parse import quote

from sendryd.dashboard.pages import PAGES
from sendryd.testing.clients import RestClient, submit
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import PASSWORD, Browser

LONG = "Donaudampfschifffahrtsgesellschaftskapitaen" * 3
NASTY = f'"><script>alert(1)</script><img src=x onerror=alert(2)>\u202eesrever\u202c {LONG}'
NASTY_NAME = f'"><script>alert(1)</script> {LONG}'[:100]
SWEPT = "swept"  # other tests send to the same words, which must not be suppressed for them
NASTY_ADDRESS = f"{'long.local.part' * 3}@{RECIPIENT_DOMAIN}"
# Addresses that answer with a file, a stream or a fragment, not with a page.
NOT_PAGES = {
    "/analytics/export",
    "/audit/export",
    "/content/{token}",
    "/content/{token}/part/{name}",
    "/domains/{name}/zone-file",
    "/elevate/passkey",
    "/emails/{id}/attachments/{number}",
    "/emails/{id}/source",
    "/emails/export",
    "/me/passkeys/options",
    "/sign-in/oidc",
    "/sign-in/oidc/callback",
    "/sign-in/passkey",
    "/suppressions/export",
    "/templates/preview/{name}",
}
# Pages for somebody who is not signed in; the others are the owner's.
OPEN = ("/deleted", "/sign-in", "/sign-in/code", "/welcome/{link}", "/join/{link}", "/reset/{link}")
DOMAIN_TABS = ("", "/keys", "/tracking", "/reports", "/settings", "/paste")
PARTS = ("timeline", "preview", "text", "source", "headers", "attachments", "webhooks")


def patterns() -> list[str]:
    """The paths of all pages, as their routes name them."""
    return sorted({page.path for page in PAGES if page.get} - NOT_PAGES)


def fill(world: World, owner: Browser) -> dict[str, list[str]]:
    """Makes the contents. Gives the addresses to open by the path of their page; those without parameters stand for themselves."""
    rest, test = RestClient(world.relay, world.live_key), RestClient(world.relay, world.test_key)
    usual = {"from": f"Acme <hello@{SENDING_DOMAIN}>", "subject": "Your order 48121 is on its way", "text": "It is on its way."}
    nasty: dict[str, object] = {
        "from": f'"{NASTY.replace(chr(34), "")}" <hello@{SENDING_DOMAIN}>',
        "subject": NASTY,
        "html": f"<h1>{NASTY}</h1>",
        "text": NASTY,
        "tags": [{"name": "kind", "value": "w" * 250}],
        "attachments": [{"filename": f"{NASTY}.txt", "content": "aGVsbG8="}],
    }
    hook = rest.post("/v1/webhooks", {"url": f"https://hooks.example.org/{LONG}", "events": ["email.delivered", "email.bounced"]})["id"]
    emails = {}
    for word in ("ann", "gone", "slow", "held"):
        more = {"scheduled_at": "in 3 hours"} if word == "held" else {}
        emails[word] = rest.post("/v1/emails", {**usual, "to": f"{word}+{SWEPT}@{RECIPIENT_DOMAIN}", **more})["id"]
        emails[f"{word} nasty"] = rest.post("/v1/emails", {**nasty, "to": [f"{word}+{NASTY_ADDRESS}", f"bob@{RECIPIENT_DOMAIN}"], **more})[
            "id"
        ]
    owner.send(f"/emails/{emails['held nasty']}/hold", {})
    caught = [test.post("/v1/emails", {**body, "to": NASTY_ADDRESS})["id"].replace("em_", "te_", 1) for body in (usual, nasty)]
    submit(world.relay, world.live_key, f"shop@{SENDING_DOMAIN}", [NASTY_ADDRESS], b"From: a@unverified.test\r\nSubject: x\r\n\r\nx\r\n")
    owner.send("/domains", {"name": f"{'very-long-name' * 4}.{'second-label' * 4}.example"})
    owner.send("/keys", {"name": NASTY_NAME[:60], "mode": "live", "scope": "full_access"})
    owner.send("/keys", {"name": LONG[:60], "mode": "test", "scope": "sending_access"})
    for path in ("/suppressions", "/unsubscribes"):
        owner.send(path, {"email": NASTY_ADDRESS})
    template = owner.send("/templates", {"name": NASTY_NAME, "starter": "welcome"}).headers["location"].partition("?")[0]
    owner.send(template, {"name": NASTY_NAME, "subject": NASTY[:200], "html": f"<h1>{NASTY}</h1>", "text": NASTY})
    join = world.relay.json("people", "invite", f"{'invited' * 8}@acme.example", "--role", "member")["url"]
    welcome = world.relay.run("people", "owner-link").stdout.decode()
    looker = world.relay.json("people", "invite", "reset@acme.example", "--role", "viewer")["url"]
    Browser(owner.base).send(f"/join/{_last(looker)}", {"name": "Rosa", "password": PASSWORD})
    member = re.findall(r'data-id="(mem_\w+)" data-status="active"><td class="wide"><b><bdi>Rosa<', owner.get("/team").text)[0]
    reset = html.unescape(owner.send(f"/team/{member}/reset", {}, page="/team").text)
    domain = f"{'very-long-name' * 4}.{'second-label' * 4}.example"
    world.relay.wait_for_status(emails["ann"], {"delivered"}, key=world.live_key)
    world.relay.wait_for_status(emails["gone"], {"bounced"}, key=world.live_key)
    world.wait_until(lambda: b"4.7.1" in world.relay.run("queue", "show", emails["slow nasty"]).stdout)
    mail = emails["slow nasty"]
    job = owner.send("/bulk", {"which": "all", "change": "hold", "reason": NASTY}, page="/emails").headers["location"]
    deliveries = f"/v1/webhooks/deliveries?webhook_id={hook}"
    world.wait_until(lambda: bool(rest.get(deliveries)["data"]))
    told = rest.get(deliveries)["data"][0]["id"]
    return {
        "/sign-in": ["/sign-in", "/sign-in?next=%2Fdomains"],
        "/sign-in/code": ["/sign-in/code"],
        "/welcome/{link}": [f"/welcome/{_last(welcome)}"],
        "/join/{link}": [f"/join/{_last(join)}"],
        "/reset/{link}": [f"/reset/{_last(reset)}"],
        **{f"/domains/{{name}}{tab}": [f"/domains/{each}{tab}" for each in (SENDING_DOMAIN, domain)] for tab in DOMAIN_TABS},
        "/bulk/{id}": [job],
        "/emails": [
            "/emails",
            f"/emails?q={quote(NASTY)}",
            "/emails?q=statsu%3Abounced",
            f"/emails?open={mail}",
            f"/emails?open={emails['ann']}",
        ],
        "/emails/{id}": [
            *(f"/emails/{mail}?part={part}" for part in PARTS),
            f"/emails/{emails['held nasty']}",
            f"/emails/{emails['gone']}",
        ],
        "/queue/{domain}": [f"/queue/{RECIPIENT_DOMAIN}", "/queue/never.example"],
        "/log/smtp": ["/log/smtp", "/log/smtp?block=192.0.2.7"],
        "/suppressions": ["/suppressions", f"/suppressions?q={quote(NASTY_ADDRESS)}"],
        "/templates/{id}": [template],
        "/webhooks/{id}": [f"/webhooks/{hook}", f"/webhooks/{hook}?open={told}", f"/webhooks/{hook}?show=waiting&code=200"],
        "/test": [
            "/test",
            f"/test?q={quote(NASTY)}",
            f"/test?q=order&clear={caught[-1]}",
            *(f"/test?open={each}" for each in caught),
            f"/test?open={caught[-1]}&width=600&mail=dark",
            f"/test?open={caught[-1]}&part=attachments",
        ],
    }


def _last(url: str) -> str:
    return str(re.findall(r"/(?:welcome|join|reset)/([\w-]+)", url)[-1])
