"""Pictures of the dashboard for the README and the documentation: `python tools/pictures.py`.

Runs the real program with a name server and a receiving server, fills it with the mail of a small shop, and writes `docs/pictures/*.png` in at
most 256 colours. Needs Chromium.
"""

import base64
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Page, sync_playwright

from sendryd.testing.clients import RestClient
from sendryd.testing.dashboard import become_owner
from sendryd.testing.mailhost import Script
from sendryd.testing.world import World

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs/pictures"
DOMAIN: Final = "acme.example"
SLOW: Final = "421 4.7.28 Our system has detected an unusual rate of mail from your IP address"
REPLIES: Final = {"slow.example": SLOW, "later.example": "451 4.7.1 Greylisting in action, please come back later"}
OPEN: Final = 24  # which mail of the shop is open in the pictures
GONE: Final = "550 5.1.1 No such user here"
SUBJECTS: Final = (
    "Your order {} is on its way",
    "Reset your password",
    "Your receipt {}",
    "Welcome to Acme",
    "Invoice 2026-{}",
    "Weekly digest",
)
PEOPLE: Final = (
    "ann",
    "bob",
    "carol",
    "dave",
    "erin",
    "frank",
    "grace",
    "heidi",
    "ivan",
    "judy",
    "mallory",
    "niaj",
    "olivia",
    "peggy",
    "rupert",
    "sybil",
)
CHROMIUM: Final = "/usr/bin/chromium"
# Counts the colours of a picture, and gives for each pixel the number of one of the 256 that occur most.
REDUCE: Final = """async (source) => {
  const bitmap = await createImageBitmap(await (await fetch(source)).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const counts = new Map();
  for (let at = 0; at < pixels.length; at += 4) {
    const colour = (pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2];
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const far = (a, b) => Math.abs((a >> 16) - (b >> 16)) + Math.abs(((a >> 8) & 255) - ((b >> 8) & 255)) + Math.abs((a & 255) - (b & 255));
  const palette = [];
  for (const nearest of [24, 12, 6, 0]) for (const [colour] of [...counts].sort((a, b) => b[1] - a[1]))
    if (palette.length < 256 && palette.every((each) => far(each, colour) > nearest)) palette.push(colour);
  const numbers = new Map([...counts.keys()].map((colour) => {
    let best = 0;
    palette.forEach((each, at) => { if (far(each, colour) < far(palette[best], colour)) best = at; });
    return [colour, best];
  }));
  let text = "";
  for (let at = 0; at < pixels.length; at += 4) text += String.fromCharCode(numbers.get((pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2]));
  return {width: bitmap.width, height: bitmap.height, palette, pixels: btoa(text)};
}"""


def answer(address: str) -> str | None:
    """How the receiving server answers a recipient."""
    name, _, domain = address.rpartition("<")[2].rstrip(">").partition("@")
    return GONE if name.startswith("zoe") else REPLIES.get(domain)


def main() -> None:
    """Writes every picture."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        World(Path(scratch), script=Script(rcpt=answer)) as world,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        cookies = become_owner(world.relay, "Mara Lind", f"mara@{DOMAIN}")
        opened = fill(world)
        for name, path, width, height, scheme in shots(opened):
            with tab_of(browser, world, cookies, width, height, scheme) as tab:
                tab.goto(path)
                tab.wait_for_load_state("load")
                tab.wait_for_timeout(1500)  # milliseconds: fonts, the first words of the stream
                (FOLDER / f"{name}.png").write_bytes(reduce(tab, tab.screenshot(animations="disabled")))
                sys.stderr.write(f"{name}.png: {(FOLDER / f'{name}.png').stat().st_size:,} octets\n")
        browser.close()


Scheme = Literal["light", "dark"]


def shots(opened: dict[str, str]) -> Iterator[tuple[str, str, int, int, Scheme]]:
    """Name, path, width, height and scheme of each picture."""
    for name, path in {
        "home": "/",
        "emails": opened["email"],
        "domain": opened["domain"],
        "test-inbox": opened["test"],
        "queue": "/queue",
    }.items():
        yield name, path, 1440, 900, "light"
    yield "home-dark", "/", 1440, 900, "dark"
    yield "email-phone", opened["whole"], 390, 844, "dark"


@contextmanager
def tab_of(browser: Browser, world: World, cookies: dict[str, str], width: int, height: int, scheme: Scheme) -> Iterator[Page]:
    """A tab of the owner."""
    base = world.relay.ready["http"]
    context = browser.new_context(
        base_url=base, viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB", timezone_id="UTC"
    )
    context.add_cookies([{"name": name, "value": value, "url": base} for name, value in cookies.items()])
    yield context.new_page()
    context.close()


def fill(world: World) -> dict[str, str]:
    """Domains, keys and mail of a shop. Gives the paths of the pictures."""
    world.publish(DOMAIN)
    for domain in ("people.example", *REPLIES):
        world.nameserver.set(domain, "MX", "10 mx.example.org.")
    order = ""
    rest, test = RestClient(world.relay, world.live_key), RestClient(world.relay, world.test_key)
    shop = rest.post("/v1/domains", {"name": "shop.example"})
    for record in shop["dns_records"]:
        world.nameserver.set_text(record["name"], record["value"])
    world.nameserver.set_text("shop.example", "v=spf1 include:_spf.mail.example ~all", "v=spf1 ip4:198.51.100.7 -all")
    world.nameserver.set_text("_spf.mail.example", "v=spf1 ip4:203.0.113.0/24 -all")
    world.nameserver.remove("_dmarc.shop.example")
    rest.post(f"/v1/domains/{shop['id']}/verify")
    usual = {"from": f"Acme <hello@{DOMAIN}>", "text": "Thank you for your order. It leaves our house today."}
    for number, name in enumerate(PEOPLE * 2):
        domain = ("people.example", "people.example", "later.example", "slow.example" if number > OPEN else "people.example")[number % 4]
        tags = [{"name": "kind", "value": ("order", "account")[number % 2]}]
        subject = SUBJECTS[number % len(SUBJECTS)].format(48097 + number)
        body = {**usual, "to": f"{name}@{domain}", "subject": subject, "tags": tags}
        if number == OPEN:
            order = rest.post("/v1/emails", {**body, "to": "judy@slow.example"})["id"]
            wait_for_reply(world, order)
        else:
            rest.post("/v1/emails", body)
    rest.post("/v1/emails", {**usual, "to": "zoe@people.example", "subject": "Confirm your address"})
    rest.post("/v1/emails", {**usual, "to": "walter@people.example", "subject": "Ticket 8841 updated", "scheduled_at": "in 3 hours"})
    html = '<div style="font:16px sans-serif;padding:24px"><h1>Reset your password</h1><p>Hello Ann,</p><p>choose a new one within an hour.</p></div>'
    for number, name in enumerate(PEOPLE[:7]):
        body = {**usual, "to": f"{name}@people.example", "subject": SUBJECTS[number % len(SUBJECTS)].format(9000 + number)}
        test.post("/v1/emails", body)
    caught = test.post("/v1/emails", {**usual, "to": "ann@people.example", "subject": "Reset your password", "html": html})["id"].replace(
        "em_", "te_", 1
    )
    return {
        "email": f"/emails?open={order}",
        "whole": f"/emails/{order}",
        "domain": "/domains/shop.example",
        "test": f"/test?open={caught}&part=preview",
    }


def wait_for_reply(world: World, public_id: str) -> None:
    """Until the first attempt is over."""
    world.wait_until(lambda: b"4.7.28" in world.relay.run("queue", "show", public_id).stdout)


def reduce(tab: Page, picture: bytes) -> bytes:
    """A PNG in at most 256 colours."""
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    blank = tab.context.new_page()
    found = blank.evaluate(REDUCE, source)
    blank.close()
    width, height, pixels = found["width"], found["height"], base64.b64decode(found["pixels"])
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    palette = b"".join(struct.pack(">I", colour)[1:] for colour in found["palette"])
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # eight bits, a palette
    parts = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)) for kind, content in parts
    )


if __name__ == "__main__":
    main()
