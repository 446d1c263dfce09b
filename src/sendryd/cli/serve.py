"""`sendryd serve`: runs the roles, and on the very first start makes what is needed and says how to try it."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sendryd.app.build import DEFAULT_ACCOUNT, Basics, build_basics
from sendryd.app.settings import Settings, SettingsError
from sendryd.cli.keys import Json
from sendryd.cli.output import WRONG_USAGE, fail, options, print_json, read_settings, say
from sendryd.store.errors import StoreError

ALL_ROLES = "smtp,http,delivery,webhooks,upkeep"


def serve(
    role: Annotated[str, typer.Option(metavar="ROLE[,ROLE...]", help=f"Which of {ALL_ROLES} to run.")] = ALL_ROLES,
    processes: Annotated[int, typer.Option(min=1, help="Processes; more than one needs PostgreSQL.")] = 1,
    as_json: Json = False,
) -> None:
    """Runs the relay until it is told to stop."""
    from sendryd.app.listen import PortTaken
    from sendryd.app.roles import Role
    from sendryd.app.supervise import AlreadyRunning, lock_data_dir
    from sendryd.runtime.log import configure

    names = [name.strip() for name in role.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Role)]
    if unknown or not names:
        fail(f"--role {role}: the roles are {', '.join(Role)}", WRONG_USAGE)
    settings = read_settings()
    if processes > 1:
        fail("--processes above 1 needs PostgreSQL; SQLite is written by one process", WRONG_USAGE)
    configure(settings.log_format or ("text" if sys.stderr.isatty() else "json"), settings.log_level)
    try:
        lock_data_dir(settings.data_dir)
        _run(_main(settings, frozenset(Role(name) for name in names), as_json=as_json))
    except (AlreadyRunning, PortTaken, StoreError) as error:
        fail(str(error))
    except SettingsError as error:
        fail(str(error), WRONG_USAGE)
    except OSError as error:
        fail(f"{error.filename or settings.data_dir}: {error.strerror}")


def _run(main: Any) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _main(settings: Settings, roles: Any, *, as_json: bool) -> None:
    from sendryd.app.supervise import Process, Ready

    basics = await build_basics(settings)
    secrets: dict[str, str] = {}

    def on_ready(ready: Ready) -> None:
        if as_json:
            document: dict[str, Any] = {"event": "ready", "smtp": str(ready.smtp[0]) if ready.smtp else None}
            scheme = "https" if settings.http_tls else "http"
            document["http"] = f"{scheme}://{ready.http}" if ready.http else None
            if secrets:
                document["keys"] = secrets
            document["tls_cert"] = str(Path(ready.tls_cert).resolve())
            print_json(document)
            sys.stdout.flush()
        _greet(settings, ready, secrets)

    process = Process(basics, roles, options.config)
    if not await basics.store.list_api_keys(DEFAULT_ACCOUNT):
        secrets = await _make_first_keys(basics)
    await process.run(on_ready)


async def _make_first_keys(basics: Basics) -> dict[str, str]:
    from sendryd.model.apikey import KeyMode

    return {
        mode.value: (await basics.keys.create(DEFAULT_ACCOUNT, f"first {mode.value} key", mode=mode))[1]
        for mode in (KeyMode.LIVE, KeyMode.TEST)
    }


def _greet(settings: Settings, ready: Any, secrets: dict[str, str]) -> None:
    """Where it listens; on the very first start the keys, and lines to paste."""
    if not sys.stderr.isatty() and not secrets:
        return
    smtp = ready.smtp[0] if ready.smtp else None
    http = f"{'https' if settings.http_tls else 'http'}://{ready.http}" if ready.http else None
    cert = Path(ready.tls_cert).resolve()
    lines = ["", f"sendryd is ready on {smtp} (SMTP, STARTTLS) and {http} (HTTP).", f"Certificate: {cert}"]
    if secrets:
        lines += [
            "",
            "API keys, shown only now (`sendryd keys create` makes more):",
            f"  live  {secrets['live']}",
            f"  test  {secrets['test']}",
        ]
    if secrets and smtp and http:
        lines += ["", *_lines_to_paste(str(smtp), http, str(cert), secrets["test"])]
    say("\n".join([*lines, ""]))


def _lines_to_paste(smtp: str, http: str, cert: str, key: str) -> list[str]:
    host, _, port = smtp.rpartition(":")
    server = {"0.0.0.0": "localhost", "[::]": "localhost"}.get(host, host)  # noqa: S104  compared, not bound
    ca = f"--cacert {cert} " if http.startswith("https") else ""
    message = "From: hello@example.com\\r\\nTo: user@example.org\\r\\nSubject: Hello\\r\\n\\r\\nIt works.\\r\\n"
    return [
        "Send a test message with curl:",
        f"  printf '{message}' | curl --silent --show-error --ssl-reqd --cacert {cert} \\",
        f"    --user sendry:{key} \\",
        f"    --mail-from hello@example.com --mail-rcpt user@example.org --upload-file - smtp://{server}:{port}",
        "or with swaks:",
        f"  swaks --server {server}:{port} --tls --tls-verify --tls-ca-path {cert} --auth PLAIN --auth-user sendry \\",
        f"    --auth-password {key} --from hello@example.com --to user@example.org",
        "and see it in the Test Inbox:",
        f"  curl --silent {ca}--header 'Authorization: Bearer {key}' {http}/v1/test-emails",
    ]
