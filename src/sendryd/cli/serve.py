"""`sendryd serve`: runs the roles; the first start also creates keys and prints commands that try the server out."""

import asyncio
import os
import shlex
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendryd.app.build import DEFAULT_ACCOUNT, OPERATOR, Basics, build_basics
from sendryd.app.cluster import place_of
from sendryd.app.links import public_url
from sendryd.app.served import Served, note_served
from sendryd.app.settings import Settings, SettingsError
from sendryd.app.values import Address
from sendryd.cli.options import Json, options
from sendryd.cli.output import FAILED, WRONG_USAGE, command, explain, fail, print_json, say
from sendryd.cli.settings import read_settings
from sendryd.store.errors import StoreError

if TYPE_CHECKING:
    from sendryd.app.processes import Lifeline
    from sendryd.app.supervise import Ready

app = typer.Typer(add_completion=False)

FIRST_NODE: Final = "first node"  # the name under which the store keeps which node shows the first keys
FIRST_KEY: Final = "first {mode} key"  # names; the live one is made before the test one, and both are shown together
THREADS_TIMEOUT: Final = 3.0  # seconds from the end of all else; a thread that rewrites the largest message takes less
ALL_ROLES: Final = "smtp,http,delivery,webhooks,upkeep"


@app.command()
def serve(
    role: Annotated[str, typer.Option(metavar="ROLE[,ROLE...]", help=f"Which of {ALL_ROLES} to run.")] = ALL_ROLES,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Number of processes; above 1 needs PostgreSQL.")] = 1,
    as_json: Json = False,
    number: Annotated[int, typer.Option(hidden=True, min=0)] = 0,  # of one process among several; 0: it is alone
) -> None:
    """Run the server until SIGTERM or Ctrl-C."""
    from sendryd.app.joining import AlreadyRunning
    from sendryd.app.listen import PortTaken
    from sendryd.app.roles.running import Role
    from sendryd.app.supervise import DaemonFailed, configure_logs, lock_data_dir

    names = [name.strip() for name in role.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Role)]
    if unknown or not names:
        fail(f"--role {role}: the roles are {', '.join(Role)}", WRONG_USAGE)
    settings = read_settings()
    if processes > 1 and not settings.database_url:
        fail("--processes above 1 needs PostgreSQL (SENDRYD_DATABASE_URL); SQLite is written by one process", WRONG_USAGE)
    configure_logs(settings)
    try:
        if processes > 1:
            _run(_supervise(settings, processes, names, as_json=as_json))
            return
        lock_data_dir(settings.data_dir, number or 1)
        _run(_main(settings, frozenset(Role(name) for name in names), number, as_json=as_json))
    except (AlreadyRunning, PortTaken, StoreError, DaemonFailed) as error:
        fail(str(error))
    except SettingsError as error:
        fail(str(error), WRONG_USAGE)
    except OSError as error:
        fail(explain(error))


def _run(main: Any) -> None:
    from sendryd.runtime.allocator import give_large_memory_back

    give_large_memory_back()
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _supervise(settings: Settings, processes: int, roles: list[str], *, as_json: bool) -> None:
    from sendryd.app.processes import ProcessFailed, Supervisor, command_of
    from sendryd.runtime.clock import SystemClock

    async def on_ready(document: dict[str, Any]) -> None:
        if as_json:
            print_json(document)
            sys.stdout.flush()

    supervisor = Supervisor(command_of(options.config, ",".join(roles)), settings, processes, frozenset(roles), SystemClock())
    try:
        await supervisor.run(on_ready)
    except ProcessFailed as error:
        raise typer.Exit(max(error.status, 0) or FAILED) from None


async def _main(settings: Settings, roles: Any, number: int, *, as_json: bool) -> None:
    from sendryd.app.supervise import Process, Ready

    lifeline = _lifeline() if number else None
    number = number or 1
    basics = await build_basics(settings, number)

    async def on_ready(ready: Ready) -> None:
        with suppress(OSError):  # on a full disk it serves all the same
            note_served(settings.data_dir, Served(ready.smtp[0] if ready.smtp else None, ready.http))
        # Only now: a start that fails before would have created keys and never shown them.
        secrets = await _make_first_keys(basics) if await _needs_first_keys(basics) else {}
        owner_url = await _owner_url(basics, settings, ready) if number == 1 else ""
        if number == 1:  # of several processes the first one speaks
            _greet(settings, ready, secrets, owner_url, as_json=as_json)
        if as_json:  # last: a reader of this line finds all other output written
            print_json(_ready_document(settings, ready, secrets, owner_url))
            sys.stdout.flush()

    process = Process(basics, roles, options.config)
    if lifeline is not None:
        lifeline.end = process.stop
    try:
        await process.run(on_ready)
    finally:
        leave_threads_behind(1 if sys.exc_info()[0] else 0)


def _lifeline() -> "Lifeline":
    from sendryd.app.processes import Lifeline

    return Lifeline()


def leave_threads_behind(status: int) -> None:
    """Ends the process after `THREADS_TIMEOUT` at the latest: everything is stored, and the interpreter would wait for running threads."""
    timer = threading.Timer(THREADS_TIMEOUT, os._exit, (status,))
    timer.daemon = True
    timer.start()


async def _owner_url(basics: Basics, settings: Settings, ready: "Ready") -> str:
    """A one-time link that makes the owner; empty once there is one, and without the dashboard."""
    if not settings.dashboard or ready.http is None or await basics.people.has_owner(DEFAULT_ACCOUNT):
        return ""
    return f"{public_url(settings, ready.http)}/welcome/{await basics.people.make_owner_link(DEFAULT_ACCOUNT)}"


def _ready_document(settings: Settings, ready: "Ready", secrets: dict[str, str], owner_url: str) -> dict[str, Any]:
    return {
        "event": "ready",
        "smtp": str(ready.smtp[0]) if ready.smtp else None,
        "http": _http_url(settings, ready.http),
        **({"inbound": str(ready.inbound[0])} if ready.inbound else {}),
        **({"keys": secrets} if secrets else {}),
        "tls_cert": str(ready.tls_cert.resolve()),
        **({"owner_url": owner_url} if owner_url else {}),
    }


def _http_url(settings: Settings, place: Address | None) -> str | None:
    return f"{'https' if settings.http_tls else 'http'}://{place}" if place else None


async def _needs_first_keys(basics: Basics) -> bool:
    """Whether no key was ever shown. A start killed between the two keys has shown neither; the first one is revoked. Of the nodes on one database the
    one that was there first shows them.
    """
    if basics.settings.database_url:
        place = place_of(basics.settings.data_dir).encode("ascii")
        if basics.number != 1 or await basics.store.ensure_secret(FIRST_NODE, place) != place:
            return False
    keys = await basics.store.list_api_keys(DEFAULT_ACCOUNT)
    if not all(key.name == FIRST_KEY.format(mode="live") for key in keys):
        return False
    for key in keys:
        await basics.keys.revoke(OPERATOR, key.id)
    return True


async def _make_first_keys(basics: Basics) -> dict[str, str]:
    from sendryd.model.apikey import KeyMode

    return {
        mode.value: (await basics.keys.create(OPERATOR, FIRST_KEY.format(mode=mode.value), mode=mode))[1]
        for mode in (KeyMode.LIVE, KeyMode.TEST)
    }


def _greet(settings: Settings, ready: "Ready", secrets: dict[str, str], owner_url: str, *, as_json: bool) -> None:
    """Prints the addresses; on the first start also the keys, and commands to paste; until there is an owner, the link that makes one."""
    if not sys.stderr.isatty() and not secrets:
        if owner_url and not as_json:  # the document has it; a full pipe at standard error must not block the start
            say(f"Make yourself the owner: {owner_url}")
        return
    http = _http_url(settings, ready.http)
    near = _http_url(settings, ready.http.reached_by("localhost")) if ready.http else None  # for a user of this machine
    cert = ready.tls_cert.resolve()
    lines = ["", "sendryd is ready."]
    if ready.smtp:
        lines.append(f"  SMTP (STARTTLS)  {', '.join(str(address) for address in ready.smtp)}")
    if http:
        lines.append(f"  HTTP             {http}, described at {near}/docs")
    lines.append(f"  certificate      {cert}")
    if owner_url:
        lines += ["", f"Make yourself the owner: {owner_url}", "  (the link works once, within 24 hours)"]
    if secrets:
        lines += [
            "",
            f"API keys, shown only now ({command('keys create --name NAME')} creates more):",
            f"  live  {secrets['live']}",
            f"  test  {secrets['test']}",
        ]
    if secrets and ready.smtp and near:
        lines += ["", *_lines_to_paste(ready.smtp[0], near, str(cert), secrets["test"])]
    say("\n".join([*lines, ""]))


def _lines_to_paste(smtp: Address, http: str, cert: str, key: str) -> list[str]:
    server = str(smtp.reached_by("localhost"))
    cert = shlex.quote(cert)
    ca = f"--cacert {cert} " if http.startswith("https") else ""
    message = "From: hello@example.com\\r\\nTo: user@example.org\\r\\nSubject: Hello\\r\\n\\r\\nIt works.\\r\\n"
    return [
        "Send a test message with curl:",
        f"  printf '{message}' | curl --silent --show-error --ssl-reqd --cacert {cert} \\",
        f"    --user sendry:{key} \\",
        f"    --mail-from hello@example.com --mail-rcpt user@example.org --upload-file - 'smtp://{server}'",
        "or with swaks:",
        f"  swaks --server '{server}' --tls --tls-verify --tls-ca-path {cert} --auth PLAIN --auth-user sendry \\",
        f"    --auth-password {key} --from hello@example.com --to user@example.org",
        "and see it in the Test Inbox:",
        f"  curl --silent {ca}--header 'Authorization: Bearer {key}' '{http}/v1/test-emails'",
    ]
