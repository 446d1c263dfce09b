"""What each start of the program loads: what a command or a helper process does not use, it does not wait for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = "import sys; from sendryd.cli.main import run; sys.argv = ['sendryd', *{arguments}]\ntry: run()\nexcept SystemExit: pass\n"
PRINT_LOADED = "\nimport sys; print(*sys.modules, sep='\\n', file=sys.stderr)"


def loaded_by(code: str, data_dir: Path | str = "") -> set[str]:
    """Modules that a program of these lines has loaded at its end, by their first two names."""
    environment = {"SENDRYD_DATA_DIR": str(data_dir), "SENDRYD_HOSTNAME": "relay.example.test"}
    done = subprocess.run([sys.executable, "-c", code + PRINT_LOADED], capture_output=True, check=True, env=environment)
    return {".".join(name.split(".")[:2]) for name in done.stderr.decode().splitlines()}


def test_the_version_loads_the_command_line_alone() -> None:
    loaded = loaded_by(RUN.format(arguments=["--version"]))
    ours = {name for name in loaded if name.startswith("sendryd.")}
    assert ours == {"sendryd.cli", "sendryd.model", "sendryd.policy", "sendryd.runtime"}  # for `runtime.log`, which knows of the terminal
    assert not loaded & {"asyncio", "cryptography", "pydantic", "rich", "structlog"}


@pytest.mark.parametrize("arguments", [["keys", "list"], ["keys", "create", "--name", "x"], ["queue", "list"], ["migrate"]])
def test_a_command_loads_no_part_of_the_server(arguments: list[str], tmp_path: Path) -> None:
    loaded = loaded_by(RUN.format(arguments=arguments), tmp_path)
    assert {"sendryd.app", "sendryd.store"} <= loaded
    assert not loaded & {
        "sendryd.delivery",
        "sendryd.notify",
        "sendryd.submission",
        "sendryd.testing",
        "sendryd.tracking",
        "sendryd.upkeep",
    }
    assert not loaded & {"aiohttp", "cryptography", "dns", "minijinja", "prometheus_client", "rich", "selectolax", "structlog", "uvicorn"}


@pytest.mark.sockets
def test_the_server_loads_what_posts_and_reads_for_the_first_who_asks(tmp_path: Path) -> None:
    environment = {"SENDRYD_DATA_DIR": str(tmp_path / "data"), "SENDRYD_SMTP_LISTEN": "127.0.0.1:0", "SENDRYD_HTTP_LISTEN": "127.0.0.1:0"}
    program = [sys.executable, "-X", "importtime", "-m", "sendryd", "serve", "--json"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(program, stdout=subprocess.PIPE, stderr=log, env=environment) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.terminate()
    lines = (tmp_path / "log").read_text("utf-8").splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert {"sendryd.notify.dispatcher", "sendryd.delivery.worker", "sendryd.api.framework.operation"} <= loaded
    assert not loaded & {"aiohttp.client", "cbor2", "joserfc", "rich.console", "sendryd.testing", "sendryd.cli.queue", "webauthn"}


def test_logs_load_no_drawing_of_tracebacks() -> None:
    code = "from sendryd.runtime.log import configure, get_logger; configure('json', 'info'); get_logger('x').info('y'); import rich"
    loaded = loaded_by("from sendryd.runtime.log import get_logger")
    assert "structlog" not in loaded
    assert "rich.traceback" not in loaded_by(code)  # and whoever asks for it afterwards has it


def test_the_process_that_signs_loads_what_signs() -> None:
    loaded = loaded_by("import sendryd.delivery.signing_process")
    assert {name for name in loaded if name.startswith("sendryd.")} == {"sendryd.delivery", "sendryd.message", "sendryd.valuetype"}
    assert not loaded & {"asyncio", "dns", "idna", "structlog"}


def test_the_process_behind_the_fence_loads_its_parsers_alone() -> None:
    assert {name for name in loaded_by("import sendryd.runtime.fence_process") if name.startswith("sendryd.")} == {"sendryd.runtime"}
    loaded = loaded_by("import sendryd.runtime.fence_process, sendryd.message.fenced")
    assert {name for name in loaded if name.startswith("sendryd.")} == {"sendryd.message", "sendryd.runtime", "sendryd.valuetype"}
    assert not loaded & {"asyncio", "cryptography", "pydantic", "structlog"}
