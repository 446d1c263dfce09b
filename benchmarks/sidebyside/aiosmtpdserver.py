"""The smallest durable submission server that one would write with aiosmtpd: each message is a file of its own, on the disk before the 250."""

import argparse
import asyncio
import os
import ssl
import uuid
from functools import partial
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

SIZE_LIMIT = 40 * 1024 * 1024  # octets, as sendryd's


class Keeper:
    """A handler with the least that keeps mail: written, synced, then given its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802  the library's name
        name = uuid.uuid4().hex
        await asyncio.to_thread(self.keep, name, envelope.content)
        return f"250 2.0.0 Kept as {name}"

    def keep(self, name: str, content: bytes) -> None:
        unfinished = self.folder / f".{name}"
        with open(unfinished, "wb", buffering=0) as opened:
            opened.write(content)
            os.fsync(opened)
        unfinished.rename(self.folder / name)


def check(_server: SMTP, _session: Any, _envelope: Any, _mechanism: str, login: Any) -> AuthResult:
    """Any user with the password of the benchmark."""
    return AuthResult(success=isinstance(login, LoginPassword) and login.password.decode() == os.environ["BENCH_PASSWORD"])


async def main() -> None:
    """Serves until it is ended."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--port", type=int)
    words.add_argument("--folder", type=Path)
    words.add_argument("--cert")
    words.add_argument("--key")
    given = words.parse_args()
    given.folder.mkdir()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(given.cert, given.key)
    make = partial(
        SMTP,
        Keeper(given.folder),
        tls_context=tls,
        authenticator=check,
        auth_required=True,
        auth_require_tls=True,
        data_size_limit=SIZE_LIMIT,
        hostname="aiosmtpd.test",
    )
    async with await asyncio.get_running_loop().create_server(make, "127.0.0.1", given.port, backlog=1000) as server:
        await server.serve_forever()


asyncio.run(main())
