"""A client that is loaded for its first request."""

import asyncio
import threading
from collections.abc import Callable, Mapping

import pytest

from sendryd.runtime.posting import HttpAnswer, HttpFault, LateClient, WholeAnswer

ANSWER = HttpAnswer(status=204, headers={}, body_start=b"", duration=0.1)


class Client:
    """Answers everything."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.is_closed = False

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        self.urls.append(url)
        return ANSWER

    async def fetch(self, url: str, *, max_size: int, accept: str = "image/*") -> bytes:
        assert accept
        self.urls.append(url)
        return b"x" * max_size

    async def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, max_size: int) -> WholeAnswer:
        self.urls.append(f"{method} {url}")
        return WholeAnswer(status=200, body=b"")

    async def aclose(self) -> None:
        self.is_closed = True


async def test_it_is_loaded_once_and_elsewhere() -> None:
    made: list[Client] = []
    threads: list[threading.Thread] = []

    def make() -> Client:
        asyncio.get_running_loop()  # which making connections needs
        made.append(Client())
        return made[-1]

    def load() -> Callable[[], Client]:
        threads.append(threading.current_thread())
        return make

    client = LateClient(load)
    assert threads == []
    assert await asyncio.gather(*(client.post(url, headers={}, body=b"") for url in "abc")) == [ANSWER] * 3
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
    assert await client.fetch("d", max_size=2) == b"xx"
    assert (await client.exchange("PUT", "e", headers={}, body=b"", max_size=2)).status == 200
    assert sorted(made[0].urls) == ["PUT e", "a", "b", "c", "d"]
    await client.aclose()
    assert made[0].is_closed


async def test_one_that_nobody_used_is_closed() -> None:
    client = LateClient(lambda: pytest.fail("nobody posted"))
    await client.aclose()


async def test_what_cannot_be_loaded_now_is_tried_again() -> None:
    made = Client()
    attempts = iter([OSError("too many open files"), None])

    def load() -> Callable[[], Client]:
        if error := next(attempts):
            raise error
        return lambda: made

    client = LateClient(load)
    with pytest.raises(HttpFault):
        await client.post("a", headers={}, body=b"")
    assert await client.post("b", headers={}, body=b"") == ANSWER
    assert made.urls == ["b"]
