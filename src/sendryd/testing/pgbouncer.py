"""PgBouncer in transaction mode in front of a server for tests: each transaction may run in another session of few."""

import atexit
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from sendryd.store.drivers.postgres import Target
from sendryd.testing.postgres import USER, Server, as_other_user, end_with_parent, free_port, make_folder_of_server, shared_server

PROGRAM: Final = "pgbouncer"
SESSIONS: Final = 3  # with the server, for each database: fewer than a store has connections
SETTINGS: Final = """[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 1000
logfile = {folder}/log
"""


class PgBouncer:
    """The program in front of a server."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._folder = folder
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        """Starts it. Connections that come before it listens are refused, so this waits."""
        program = shutil.which(PROGRAM) or shutil.which(PROGRAM, path="/usr/sbin")
        if program is None:
            raise FileNotFoundError("no PgBouncer is installed")
        self.port = free_port()
        settings = self._folder / "settings"
        settings.write_text(
            SETTINGS.format(server=self._server.port, port=self.port, folder=self._folder, sessions=SESSIONS), encoding="utf-8"
        )
        (self._folder / "users").write_text(f'"{USER}" ""\n', encoding="utf-8")
        user = as_other_user()
        for path in (self._folder, settings, self._folder / "users"):
            if user:
                os.chown(path, user["user"], user["group"])
        self._process = subprocess.Popen(
            [program, "-q", str(settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509  no lock is taken there
            **user,
        )
        log = self._folder / "log"
        for _ in range(600):
            if log.exists() and "process up" in log.read_text("utf-8"):
                return
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise RuntimeError(log.read_text("utf-8") if log.exists() else "PgBouncer did not start")

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def target(self, database: str) -> Target:
        """The address of a database, for the store."""
        return Target(f"postgresql://{USER}@127.0.0.1:{self.port}/{database}", f"127.0.0.1:{self.port}/{database}")


@cache
def shared_bouncer() -> PgBouncer:
    """The one in front of the shared server of this process, which ends with it."""
    folder = make_folder_of_server()
    bouncer = PgBouncer(shared_server(), folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(bouncer.stop)
    bouncer.start()
    return bouncer
