"""A process that signs: it takes contents from its standard input, a socket, and gives back their DKIM-Signature fields in order.

Started by `delivery.signing_link`, as `python -m sendryd.delivery.signing_process`. RSA takes longer than all else that is done for a small
message. A thread does not hold up the others while it computes, but it has to get the interpreter lock back after each signature, and the
event loop's thread as often loses it; another process needs no lock of ours.

Reads: requests from the socket. Writes: replies to it, one for each content, in the order of the requests.
When things fail: what cannot be signed is answered with `FAILED`. The end of the socket, or a request that is none, ends the process.
Limits: `MAX_KEYS` keys are kept, and a content is no larger than the other side lets it be.
"""

import signal
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sendryd.message.dkim import load_private_key, sign
from sendryd.message.headers import HeaderBlock

MAX_KEYS: Final = 1000  # what a thousand take is a few MB; both sides forget all of them when there would be more
READ_SIZE: Final = 64 * 1024  # octets; larger pieces make the C library map and unmap memory for every read
SIGNED: Final = 0
FAILED: Final = 1

_KEY: Final = 0
_CONTENT: Final = 1
_REQUEST: Final = struct.Struct("!BIQI")  # kind, number of the key, seconds since 1970, octets that follow
_REPLY: Final = struct.Struct("!BI")  # SIGNED or FAILED, octets that follow
_SEPARATOR: Final = b"\0"  # in no domain, selector or PEM

_Key = tuple[str, str, RSAPrivateKey]


def key_request(number: int, domain: str, selector: str, pem: bytes) -> bytes:
    """Makes a key known by a number. It is not answered."""
    text = _SEPARATOR.join((domain.encode("ascii"), selector.encode("ascii"), pem))
    return _REQUEST.pack(_KEY, number, 0, len(text)) + text


def content_request(number: int, now: int, content: bytes) -> bytes:
    """Asks for the signature of a content with a key that was made known. `now` is in seconds since 1970."""
    return _REQUEST.pack(_CONTENT, number, now, len(content)) + content


def read_replies(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes the whole replies out of what has come: SIGNED with the field, or FAILED with the reason."""
    start = 0
    while len(buffer) - start >= _REPLY.size:
        status, size = _REPLY.unpack_from(buffer, start)
        end = start + _REPLY.size + size
        if end > len(buffer):
            break
        yield status, bytes(buffer[start + _REPLY.size : end])
        start = end
    del buffer[:start]


def serve(connection: socket.socket, *, max_keys: int = MAX_KEYS) -> None:
    """Answers requests until the other side ends."""
    keys: dict[int, _Key] = {}
    buffer = bytearray()
    while data := connection.recv(READ_SIZE):
        buffer += data
        start = 0
        while len(buffer) - start >= _REQUEST.size:
            kind, number, now, size = _REQUEST.unpack_from(buffer, start)
            end = start + _REQUEST.size + size
            if end > len(buffer):
                break
            body = bytes(buffer[start + _REQUEST.size : end])
            start = end
            if kind == _KEY:
                if len(keys) >= max_keys:
                    keys.clear()
                domain, selector, pem = body.split(_SEPARATOR, 2)
                keys[number] = domain.decode("ascii"), selector.decode("ascii"), load_private_key(pem)
            else:
                connection.sendall(_answer(keys[number], now, body))
        del buffer[:start]


def _answer(key: _Key, now: int, content: bytes) -> bytes:
    domain, selector, private = key
    try:
        field = sign(content, headers=HeaderBlock.parse(content), domain=domain, selector=selector, key=private, now=now)
    except Exception as error:  # the one content is at fault; the other side finds out how
        reason = type(error).__name__.encode("ascii")
        return _REPLY.pack(FAILED, len(reason)) + reason
    return _REPLY.pack(SIGNED, len(field)) + field


def main() -> None:
    """The program."""
    # A terminal and a service manager signal all processes of a group; this one is needed until the other has sent what is under way.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        serve(socket.socket(fileno=sys.stdin.fileno()))
    except ConnectionError:  # the other side was killed
        return


if __name__ == "__main__":
    main()
