"""sendryd on its embedded database, on a PostgreSQL of its own, and with a store that keeps nothing; and the prototype that bounds all of them."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

from sidebyside.forms import HOSTNAME, Unavailable, run_checked
from sidebyside.job import DOMAIN, Endpoint, Job, Peer, free_port
from sidebyside.others import serve_script
from sidebyside.processes import family
from sidebyside.scenarios import Scenario

from sendryd.testing.loopthread import LoopThread
from sendryd.testing.nameserver import NameServer
from sendryd.testing.postgres import Server, find_programs
from sendryd.testing.postgres import free_port as free_low_port

BENCHMARKS = Path(__file__).parents[1]
SENDRYD = (sys.executable, "-m", "sendryd")
# What a server that must lose nothing has; the rest is PostgreSQL's default.
DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_size": "1GB",
    "autovacuum": "on",
    "shared_buffers": "256MB",
    "max_connections": "100",
}


def start_postgres(folder: Path, cores: set[int] | None = None) -> tuple[Server, str]:
    """A PostgreSQL that loses nothing, with our schema, and the address of its database."""
    server = Server(folder, DURABLE)
    server.make()
    server.start(free_low_port())
    if cores:
        for each in family(server.process.pid):
            os.sched_setaffinity(each, cores)  # sessions inherit it
    server.run("CREATE DATABASE bench")
    url = server.url("bench")
    env = {"PATH": os.defpath, "SENDRYD_DATA_DIR": str(folder.with_name("migrating")), "SENDRYD_DATABASE_URL": url}
    run_checked([*SENDRYD, "migrate"], env=env)
    return server, url


class Sendryd(Peer):
    """`sendryd serve` with a verified domain. Accept only: without the role that delivers."""

    name = "sendryd"
    signs = True
    program: tuple[object, ...] = SENDRYD
    arguments: tuple[str, ...] = ()  # of `serve`

    def __init__(self) -> None:
        self._dns: tuple[LoopThread, NameServer] | None = None

    def start(self, job: Job) -> Endpoint:
        thread, nameserver = self._dns = LoopThread(), NameServer()
        thread.run(nameserver.start())
        endpoint, output = Endpoint(0), job.folder / "ready.json"
        env = {
            "SENDRYD_DATA_DIR": str(job.folder / "data"),
            "SENDRYD_HOSTNAME": HOSTNAME,
            "SENDRYD_SMTP_LISTEN": "127.0.0.1:0",
            "SENDRYD_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
            "SENDRYD_SMARTHOST": f"smtp+notls://127.0.0.1:{job.next_hop}",
            "SENDRYD_ALLOW_PRIVATE_NETWORKS": "true",
            "SENDRYD_DNS_RESOLVER": f"127.0.0.1:{nameserver.port}",
            "SENDRYD_LOG_FORMAT": "json",
            **self.prepare(job, endpoint),
        }
        roles = () if job.scenario.delivers else ("--role", "smtp,http")
        process = job.start(*self.program, "serve", "--json", *roles, *self.arguments, env=env, output=output)
        job.wait(process, lambda: "\n" in output.read_text("utf-8"))
        ready = json.loads(output.read_text("utf-8").splitlines()[0])
        endpoint.port, endpoint.password = int(ready["smtp"].rpartition(":")[2]), ready["keys"]["live"]
        add_domain({"PATH": os.defpath, **env}, nameserver)
        return endpoint

    def prepare(self, job: Job, endpoint: Endpoint) -> dict[str, str]:
        """Runs before the start. Returns further settings."""
        del job, endpoint
        return {}

    def close(self) -> None:
        if self._dns:
            thread, nameserver = self._dns
            thread.run(nameserver.aclose())
            thread.close()
            self._dns = None


def add_domain(env: dict[str, str], nameserver: NameServer) -> None:
    """Adds the sender's domain, publishes its records, verifies it."""
    added = json.loads(run_checked([*SENDRYD, "domains", "add", DOMAIN, "--json"], env=env))
    for record in added["dns_records"]:
        nameserver.set_text(record["name"], record["value"])
    if json.loads(run_checked([*SENDRYD, "domains", "verify", DOMAIN, "--json"], env=env))["status"] != "verified":
        raise Unavailable(f"{DOMAIN} was not verified")
    time.sleep(1.0)  # a running server sees the change within a second


class SendrydPostgres(Sendryd):
    """One node and its PostgreSQL on the same cores. Each commit is synced."""

    name = "sendryd-postgres"

    def __init__(self) -> None:
        super().__init__()
        self._server: Server | None = None

    def check(self, scenario: Scenario) -> None:
        super().check(scenario)
        if find_programs() is None:
            raise Unavailable("PostgreSQL is not installed (Debian package postgresql)")

    def prepare(self, job: Job, endpoint: Endpoint) -> dict[str, str]:
        self._server, url = start_postgres(job.folder / "postgres", job.cores)
        endpoint.database.append(self._server.process.pid)
        return {"SENDRYD_DATABASE_URL": url}

    def close(self) -> None:
        super().close()
        if self._server:
            self._server.stop()
            shutil.rmtree(self._server.folder, ignore_errors=True)
            self._server = None


class Nodes(SendrydPostgres):
    """Several processes of one machine on one PostgreSQL."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = f"nodes-{number}"
        self.arguments = ("--processes", str(number))


class Discarding(Sendryd):
    """The same code with a store that keeps nothing."""

    name = "discarding"
    only = "reused"
    program = (sys.executable, BENCHMARKS / "forgetful.py")


class Prototype(Peer):
    """The least that a durable submission server in Python does (`prototype.py`)."""

    name = "prototype"
    only = "reused"

    def start(self, job: Job) -> Endpoint:
        return serve_script(job, BENCHMARKS / "prototype.py")
