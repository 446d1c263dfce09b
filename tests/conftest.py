"""What all tests share: which may use sockets, what they need of the machine, and a whole world for those that run the real program."""

import asyncio
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

# Where nothing compiled may be kept, each process of the tests compiles Hypothesis, and each of the hundreds of programs that they start compiles
# all its source, at three times the cost.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["SENDRYD_TEST_FORKS"] = "1"
sys.dont_write_bytecode = False

import pytest
import pytest_socket
import structlog
from hypothesis import settings

from sendryd.testing.network import is_permitted as are_namespaces_permitted
from sendryd.testing.postgres import find_programs as find_postgres
from sendryd.testing.stores import quick_folder
from sendryd.testing.virtualtime import VirtualTimeLoop
from sendryd.testing.world import World

TESTS = Path(__file__).parent
REQUIRE_ALL = os.environ.get("SENDRYD_TEST_REQUIRE_ALL") == "1"
WITH_SOCKETS = {"system", "interop", "crash", "testing"}
WITH_PROGRAMS = {"system", "interop", "crash", "testing", "cli"}  # what those write may be large, and is kept where one fails
LONGEST_FIRST = ("crash", "dashboard", "system", "cli", "interop", "testing")
IN_BROWSER = re.compile("in_browser|sweep")  # files whose tests wait for a browser: the longest
NPM_PACKAGES = {"nodemailer", "mailparser"}
NODE_MODULES = Path(__file__).parents[1] / "build" / "interop" / "node_modules"
# Files of one long test, or of many; the sweep is shorter where no other test has sent mail before.
FIRST = ("test_sweep.py", "test_schema.py")
_missing: Counter[str] = Counter()

settings.register_profile("any machine", deadline=None)  # a busy one may take its time
settings.load_profile("any machine")

# Plain lines: the default draws a table of all variables for each exception, which takes a second.
_LOG_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.processors.add_log_level,
    structlog.dev.set_exc_info,
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sockets: may open sockets on loopback")
    config.addinivalue_line("markers", "virtual_time(sockets=False): runs in an event loop whose time passes only while every task waits")
    config.addinivalue_line("markers", "needs(*programs): outside programs that the test cannot do without")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of a test: with virtual time where its marker says so, else the usual one."""
    marker = item.get_closest_marker("virtual_time")
    if marker is None:
        return {"usual": asyncio.new_event_loop}
    return {"virtual": partial(VirtualTimeLoop, has_both_ends=marker.kwargs.get("sockets", False))}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start programs come first: they wait more than they work, and one that began last would run alone."""
    turns = {path: (path.name not in FIRST, not IN_BROWSER.search(path.name), _turn(path)) for path in {item.path for item in items}}
    items.sort(key=lambda item: turns[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The thousands of tests stay until the end: the garbage collector need not look at them while they are made, nor during each of them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _turn(path: Path) -> int:
    folder = _folder(path)
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


def is_there(program: str) -> bool:
    """Whether an outside program, or the right to do what only root may, can be used."""
    if program == "root":
        return os.geteuid() == 0
    if program == "namespaces":
        return are_namespaces_permitted()
    if program == "postgres":
        return find_postgres() is not None
    if program in NPM_PACKAGES:
        return (NODE_MODULES / program).is_dir()
    if program == "swaks":  # speaks no TLS without a module that its package only recommends
        tls = subprocess.run(["perl", "-MNet::SSLeay", "-e", "1"], capture_output=True, check=False) if shutil.which("perl") else None
        return shutil.which("swaks") is not None and tls is not None and tls.returncode == 0
    return shutil.which(program) is not None or shutil.which(program, path="/usr/sbin") is not None  # where daemons are


def pytest_runtest_setup(item: pytest.Item) -> None:
    structlog.reset_defaults()  # a test before may have set up logs of its own
    structlog.configure(processors=_LOG_PROCESSORS)
    if folder_of(item) in WITH_SOCKETS or item.get_closest_marker("sockets"):
        pytest_socket.enable_socket()
    else:
        pytest_socket.disable_socket(allow_unix_socket=True)  # an event loop has a pair of them
    for marker in item.iter_markers("needs"):
        missing = [program for program in marker.args if not is_there(program)]
        if REQUIRE_ALL and missing and not set(missing) <= {"root", "namespaces"}:  # nothing that could be installed
            pytest.fail(f"needs {', '.join(missing)}, and SENDRYD_TEST_REQUIRE_ALL is set", pytrace=False)
        if missing:
            _missing.update(missing)
            pytest.skip(f"needs {', '.join(missing)}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    names = sorted({str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)})
    if names:
        terminalreporter.section("skipped because a program is missing")
        for name in names:
            terminalreporter.line(name)


def folder_of(item: pytest.Item) -> str:
    """The folder of tests that it is in."""
    return _folder(item.path)


@cache
def _folder(path: Path) -> str:
    return path.relative_to(TESTS).parts[0]


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of the test; in memory for those that start no program, so that none of their thousands of commits waits for a disk."""
    if folder_of(request.node) in WITH_PROGRAMS or request.config.option.basetemp:
        yield request.getfixturevalue("tmp_path_factory").mktemp(re.sub(r"\W", "_", request.node.name)[:30])
        return
    with tempfile.TemporaryDirectory(prefix="sendryd-test-", dir=quick_folder(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The real program with a name server and a receiving server; shared by the tests of one process."""
    pytest_socket.enable_socket()
    with World(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def repository() -> Path:
    """The root of the repository."""
    top = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, check=False, cwd=Path(__file__).parent)
    return Path(top.stdout.decode().strip()) if top.returncode == 0 else Path(__file__).parents[1]
