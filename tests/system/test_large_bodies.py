"""Request bodies of any size: what is too much is refused in the contract's shape, costs no memory, and keeps nobody waiting."""

import base64
import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.world import SENDING_DOMAIN, World

MIB = 1024 * 1024
GIB = 1024 * MIB
PIECE = b'{"from":"' + b"x" * (64 * 1024)
AUTHOR = f"a@{SENDING_DOMAIN}"
MANY = 16  # large bodies at once: more than twice what all of them may take of memory


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose memory nobody else uses."""
    with World(tmp_path_factory.mktemp("bodies")) as made:
        yield made


@pytest.fixture
def rest(alone: World) -> RestClient:
    return RestClient(alone.relay, alone.live_key)


class Memory:
    """What the program's resident memory grows by at its highest, from now on."""

    def __init__(self, world: World) -> None:
        self._folder = Path(f"/proc/{world.relay.process.pid}")
        (self._folder / "clear_refs").write_text("5")  # the peak begins anew: proc(5)
        self._before = self._read("VmRSS")

    def _read(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    @property
    def growth(self) -> int:
        return self._read("VmHWM") - self._before


def begin(rest: RestClient, path: str, *fields: str) -> socket.socket:
    """The head of a POST."""
    connection = socket.create_connection(rest.address, timeout=60)
    head = [f"POST {path} HTTP/1.1", "Host: relay", f"Authorization: Bearer {rest.key}", "Content-Type: application/json", *fields]
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    return connection


def read_answer(connection: socket.socket) -> tuple[int, Any]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())


def check_too_large(answer: tuple[int, Any]) -> None:
    status, body = answer
    assert status == 413
    assert body["error"]["code"] == body["code"] == "payload_too_large"
    assert body["statusCode"] == 413
    assert body["error"]["details"] == {"limit": 40 * MIB}


def pour(connection: socket.socket, octets: int, *, is_chunked: bool) -> None:
    """Sends so much, or as much as the server takes."""
    piece = b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if is_chunked else PIECE
    for _ in range(octets // len(PIECE)):
        try:
            connection.sendall(piece)
        except OSError:
            return


def check_mail_goes_on(world: World, rest: RestClient, name: str) -> None:
    """By both doors."""
    rest.post("/v1/emails", {"from": AUTHOR, "to": "user@example.org", "subject": f"{name} rest", "text": "t"})
    content = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: {name} smtp\r\n\r\nbody\r\n".encode()
    assert submit(world.relay, world.live_key, AUTHOR, ["user@example.org"], content)[0] == 250
    for door in ("rest", "smtp"):
        world.wait_for_mail(f"{name} {door}")


@pytest.mark.parametrize("path", ["/v1/emails", "/v1/emails/batch", "/v1/emails/marketing"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_gigabyte_costs_no_memory(alone: World, rest: RestClient, path: str, is_chunked: bool) -> None:
    memory = Memory(alone)
    fields = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {GIB}"
    with begin(rest, path, fields) as connection:
        sender = threading.Thread(target=pour, args=(connection, GIB), kwargs={"is_chunked": is_chunked})
        sender.start()
        check_too_large(read_answer(connection))
        check_mail_goes_on(alone, rest, f"{path} {is_chunked}")
        sender.join()
    assert memory.growth < (60 if is_chunked else 25) * MIB  # without a length, what is not over the limit has to be kept


def test_a_gigabyte_that_never_comes_costs_nothing(alone: World, rest: RestClient) -> None:
    """What is announced is refused at once; what trickles in without a length waits, and nobody waits for it."""
    memory = Memory(alone)
    announced = [begin(rest, "/v1/emails", f"Content-Length: {GIB}") for _ in range(50)]
    for connection in announced:
        check_too_large(read_answer(connection))
    trickling = [begin(rest, "/v1/emails", "Transfer-Encoding: chunked") for _ in range(100)]
    for connection in trickling:
        connection.sendall(b"10\r\n0123456789abcdef\r\n")
    check_mail_goes_on(alone, rest, "trickling")
    assert memory.growth < 25 * MIB
    for connection in (*announced, *trickling):
        connection.close()


def test_many_large_bodies_at_once(alone: World, rest: RestClient) -> None:
    """Each is taken, or told to come again; never is all of it in memory."""
    body = {
        "from": AUTHOR,
        "to": "user@example.org",
        "subject": "manifold",
        "text": "t",
        "attachments": [{"filename": "large.bin", "content": base64.b64encode(bytes(22 * MIB)).decode()}],
    }
    data = json.dumps(body).encode()
    assert 29 * MIB < len(data) < 32 * MIB
    captured = RestClient(alone.relay, alone.test_key)  # kept as any other, and not sent on
    memory = Memory(alone)

    def send(_number: int) -> int:
        try:
            answer = captured.request("POST", "/v1/emails", data)
        except OSError:
            return 0
        if answer.status != 200:
            assert answer.json["error"]["code"] == "internal_error"
            assert answer.headers.get("retry-after", "").isdigit(), answer
        return answer.status

    with ThreadPoolExecutor(MANY) as pool:
        sending = [pool.submit(send, number) for number in range(MANY)]
        check_mail_goes_on(alone, rest, "beside large ones")
        statuses = Counter(each.result() for each in sending)
    assert set(statuses) <= {200, 503}
    assert statuses[200] >= 1  # how many in half a minute depends on the machine
    # 192 MiB of bodies, and one at a time in the forms that it takes on its way; all at once it were more than twice that.
    assert memory.growth < 800 * MIB
    assert captured.request("POST", "/v1/emails", data).status == 200
    assert captured.get("/v1/emails?q=manifold&include_total=true&limit=1")["total"] == statuses[200] + 1


def test_what_is_just_within_the_limit_is_taken(alone: World, rest: RestClient) -> None:
    captured = RestClient(alone.relay, alone.test_key)
    body = {"from": AUTHOR, "to": "user@example.org", "subject": "s", "text": "t"}
    data = json.dumps(body).encode()
    assert captured.request("POST", "/v1/emails", data + b" " * (40 * MIB - len(data))).status == 200
    answer = captured.request("POST", "/v1/emails", data + b" " * (40 * MIB - len(data) + 1))
    check_too_large((answer.status, answer.json))
