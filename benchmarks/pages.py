"""How fast the dashboard's pages and searches are with many mails stored, idle and while mail comes in.

    python benchmarks/pages.py                     # 100,000 mails
    python benchmarks/pages.py --mails 1000000 --requests 50

The mails are put into the store directly: nearly all delivered, one in a hundred bounced, a few waiting. Then the real program starts on them,
and its time to fill the search index is printed. `busy`: 100 mails a second come in over SMTP and are delivered meanwhile.
"""

import argparse
import asyncio
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from machine import describe

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, EventId, MessageId
from sendryd.model.message import Message
from sendryd.runtime.clock import SystemClock
from sendryd.store.base import NewDelivery, NewEvent, NewMessage
from sendryd.store.codec.values import first_id
from sendryd.store.sqlite import open_store
from sendryd.testing.world import World

HERE = Path(__file__).parent
BATCH = 1000
RATE = 100  # mails a second that come in while it is busy
WORDS = ("order", "invoice", "receipt", "password", "welcome", "newsletter", "shipped", "due", "reminder", "ticket")
DOMAINS = ("gmail.com", "corp.example", "outlook.com", "acme.example", "web.example")
PAGES = (
    "/",
    "/emails",
    "/emails?q=status:bounced",
    "/emails?q=status:waiting",
    "/emails?q=status:delivered",
    "/queue",
    "/test",
    "/domains",
    "/keys",
    "/suppressions",
    "/templates",
    "/analytics",
    "/log/smtp",
    "/log/api",
    "/health",
    "/team",
    "/audit",
    "/settings",
)
SEARCHES = {
    "exact address": "user4711@gmail.com",
    "nothing found": "nobody@nowhere.example",
    "common word": "order",
    "word and domain": "invoice @corp.example",
    "prefix of an address": "user4711@gm",
    "prefix of a word": "news",
    "word and status": "welcome status:bounced",
    "all but a word": "-order",
}


def mails(count: int) -> Iterator[NewMessage]:
    """Mails of the last 20 days, oldest first."""
    dice, now = random.Random(1), SystemClock().now()
    states = {DeliveryState.BOUNCED: (EventType.BOUNCED,), DeliveryState.DELIVERED: (EventType.SENT, EventType.DELIVERED)}
    for number in range(count):
        moment = now - timedelta(days=20) * (count - number) / count
        moment -= timedelta(microseconds=moment.microsecond % 1000)
        base = first_id(moment) + (number % 500) * 8
        recipient = f"user{dice.randrange(count // 4)}@{dice.choice(DOMAINS)}"
        state = DeliveryState.QUEUED if number % 2000 == 7 else DeliveryState.BOUNCED if number % 100 == 3 else DeliveryState.DELIVERED
        events = (EventType.QUEUED, *states.get(state, ()))
        content = f"From: hello@example.test\r\nTo: {recipient}\r\nSubject: {number}\r\n\r\nHello\r\n".encode()
        message = Message(
            id=MessageId(base),
            account_id=AccountId(1),
            api_key_id=ApiKeyId(1),
            mode=KeyMode.LIVE,
            reverse_path="hello@example.test",
            author="Acme <hello@example.test>",
            to=(recipient,),
            cc=(),
            subject=f"Your {dice.choice(WORDS)} {dice.choice(WORDS)} {number}",
            internet_message_id=f"<{number}@example.test>",
            size=len(content),
            created_at=moment,
            signing_domain_id=None,
            needs_smtputf8=False,
            is_8bit=False,
            tags=(("kind", dice.choice(WORDS)),),
        )
        delivery = NewDelivery(
            id=DeliveryId(base + 1),
            forward_path=recipient,
            domain="capacity.test" if state is DeliveryState.QUEUED else recipient.partition("@")[2],
            state=state,
            due_at=now + timedelta(days=1),
            events=tuple(NewEvent(id=EventId(base + 2 + at), type=each) for at, each in enumerate(events)),
        )
        yield NewMessage(message=message, content=content, deliveries=(delivery,))


async def fill(data_dir: Path, count: int) -> None:
    """Stores the mails."""
    store, batch = open_store(data_dir), []
    for number, new in enumerate(mails(count), 1):
        batch.append(new)
        if len(batch) == BATCH or number == count:
            await asyncio.gather(*(store.accept(each) for each in batch))
            batch = []
    await store.aclose()


class Reader:
    """The owner's browser: one connection that stays open."""

    def __init__(self, ready: dict[str, str]) -> None:
        self._host = urlsplit(ready["http"]).netloc
        self._origin = ready["http"].rstrip("/")
        self._connection = HTTPConnection(self._host, timeout=60)
        self._cookies: dict[str, str] = {}
        path = urlsplit(ready["owner_url"]).path
        token = re.search(r'name="token" value="([^"]*)"', self.get(path))
        assert token
        fields = {"token": token[1], "name": "Mara", "email": "mara@acme.example", "password": "four words make one"}
        own = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._origin, "Sec-Fetch-Site": "same-origin"}
        self._ask("POST", path, urlencode(fields), own, expected=303)

    def get(self, path: str) -> str:
        """A page."""
        return self._ask("GET", path, None, {})

    @property
    def cookie(self) -> str:
        """The `Cookie` field of its requests."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str], *, expected: int = 200) -> str:
        self._connection.request(method, path, body, {"Accept": "text/html", "Cookie": self.cookie, **headers})
        response = self._connection.getresponse()
        for value in response.headers.get_all("Set-Cookie") or ():
            name, _, secret = value.partition(";")[0].partition("=")
            self._cookies[name] = secret.strip('"')
        text = response.read().decode()
        assert response.status == expected, f"{path} is answered {response.status}"
        return text


def measure(reader: Reader, path: str, requests: int) -> tuple[float, float, int]:
    """Median and 99th percentile in milliseconds, and the size of the page in octets."""
    text = reader.get(path)
    times = []
    for _ in range(requests):
        started = time.perf_counter()
        reader.get(path)
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100], len(text)


def report(reader: Reader, title: str, requests: int) -> None:
    """All pages and searches."""
    paths = {path: path for path in PAGES}
    paths |= {f"search: {name}": f"/emails?q={quote(text)}&open=-" for name, text in SEARCHES.items()}
    for name, path in paths.items():
        median, late, size = measure(reader, path, requests)
        print(f"{title:5} {name:32} median {median:7.1f} ms   p99 {late:7.1f} ms   {size / 1024:5.0f} KB", flush=True)


def main() -> None:
    """Fills a store, starts the program, measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=100, help="of each page")
    options = parser.parse_args()
    describe()
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), env={"SENDRYD_LOG_LEVEL": "error"}) as world:
        world.mailhost.does_keep = False
        key = world.live_key
        world.relay.stop()
        started = time.perf_counter()
        asyncio.run(fill(world.relay.data_dir, options.mails))
        for part in world.relay.data_dir.glob("derived.db*"):
            part.unlink()  # a file from before the mails would not say how far it is with them
        print(f"{options.mails:,} mails stored in {time.perf_counter() - started:.1f} s", flush=True)
        started = time.perf_counter()
        world.relay.start()
        reader = Reader(world.relay.ready)
        while "index is being rebuilt" in reader.get("/emails?q=nobody@nowhere.example"):
            time.sleep(0.1)
        index = (world.relay.data_dir / "derived.db").stat().st_size
        print(f"search index filled in {time.perf_counter() - started:.1f} s, {index / 1e6:.0f} MB", flush=True)
        report(reader, "idle", options.requests)
        host, port = world.relay.smtp
        command = [sys.executable, str(HERE / "load.py"), "--host", host, "--port", str(port), "--key", key]
        command += ["--cert", str(world.relay.cert), "--rate", str(RATE), "--messages", "1000000", "--connections", "8"]
        with subprocess.Popen(command) as feeding:
            time.sleep(5)
            report(reader, "busy", options.requests)
            feeding.kill()


if __name__ == "__main__":
    main()
