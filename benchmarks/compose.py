"""Messages from the fields of a request, and each recipient's copy: microseconds for 5 KB of text and HTML with ten links."""

import time
from collections.abc import Callable
from functools import partial

from machine import describe

from sendryd.message.compose import Attachment, Composition, compose
from sendryd.message.mailbox import parse_mailbox
from sendryd.message.personalise import Personal, personalise

BOUNDARY = "benchmarkbenchmark00"
PARAGRAPH = '<p style="margin: 0 0 1em">Hello there, <b>this</b> is a line of a newsletter that says little, but it says it well.</p>\n'
LINK = '<p><a class="button" href="https://shop.example.test/items?id=%d&amp;from=mail" style="color: #fff">Have a look</a></p>\n'
HTML = (
    "<html><head><title>News</title></head><body>\n" + "".join(PARAGRAPH * 3 + LINK % number for number in range(10)) + "</body></html>\n"
)
TEXT = "Hello there, this is a line of a newsletter that says little, but it says it well.\n" * 10
COUNT = 2_000


def composition(html: str, text: str, *attachments: Attachment) -> Composition:
    """A message as a shop sends it."""
    return Composition(
        author=parse_mailbox("Shop <shop@example.test>"),
        to=(parse_mailbox("Zoë Müller <zoe@example.org>"),),
        subject="Your order – thank you",
        html=html,
        text=text,
        attachments=attachments,
    )


def measure(name: str, action: Callable[[], object], count: int = COUNT) -> None:
    """Prints how long one action takes."""
    started = time.perf_counter()
    for _ in range(count):
        action()
    print(f"{name}: {(time.perf_counter() - started) / count * 1e6:.0f} us")


def main() -> None:
    """Prints one line for each kind of work."""
    print(describe())
    ascii_one, other = composition(HTML, TEXT), composition(HTML.replace("well", "schön"), TEXT)
    measure("mailbox", lambda: parse_mailbox("Zoë Müller <zoe@example.org>"))
    measure(f"compose, {len(HTML) + len(TEXT)} octets of ASCII", lambda: compose(ascii_one, boundary=BOUNDARY))
    measure("compose, the same with other letters", lambda: compose(other, boundary=BOUNDARY))
    personal = Personal(
        pixel_url="https://t.example.test/o/" + "x" * 60,
        wrap=lambda _: "https://t.example.test/c/" + "x" * 60,
        unsubscribe_urls=("https://t.example.test/u/" + "x" * 60,),
    )
    for name, one in (("ASCII", ascii_one), ("the same with other letters", other)):
        content = compose(one, boundary=BOUNDARY)
        measure(f"personalise, {name}", partial(personalise, content, personal))
    large = composition(HTML, TEXT, Attachment(filename="a.bin", content=bytes(10_000_000)))
    measure("compose, with 10 MB attached", lambda: compose(large, boundary=BOUNDARY), 5)


if __name__ == "__main__":
    main()
