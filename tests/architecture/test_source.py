"""House rules that no linter has, each with an example that breaks it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from sendryd.testing.cases import cases

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sendryd"
FILES = sorted(SOURCE.rglob("*.py"))
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
IMPURE = {name for each in CONTRACTS if each["id"] == "pure" for name in each["forbidden_modules"]}
PURE = [name.removeprefix("sendryd.").split(".") for each in CONTRACTS if each["id"] == "pure" for name in each["source_modules"]]
CONTAINERS = {"dict", "list", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter"}
DOORS = {"accept", "accept_all", "amend"}
# Files outside runtime/ that read a clock or wait by one, and how.
CLOCKS = {
    "testing/mailhost.py": {"asyncio.sleep(step)"},  # fakes: the delay is scripted
    "testing/nameserver.py": {"asyncio.sleep(self.delay)"},
    "testing/virtualtime.py": {"asyncio.sleep(seconds)", "asyncio.get_running_loop().time"},  # a clock itself
    "testing/waiting.py": {"time.sleep"},  # for other processes
    "testing/webhookhost.py": {"asyncio.sleep(drip)"},
}
BANNED = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager", "service"}


@lru_cache(maxsize=1)
def walk(tree: ast.AST) -> list[ast.AST]:
    """All nodes of a file, for the rules that each look at them."""
    return list(ast.walk(tree))


def asynchronous(tree: ast.AST) -> Iterator[str]:
    """Definitions of coroutines, but for those of a Protocol."""
    protocols = {
        id(member)
        for node in walk(tree)
        if isinstance(node, ast.ClassDef)
        and any("Protocol" in ast.unparse(base) or base for base in node.bases if "Protocol" in ast.unparse(base))
        for member in ast.walk(node)
    }
    for node in walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await) and id(node) not in protocols:
            yield ast.unparse(node)[:60]


def swallowing(tree: ast.AST) -> Iterator[str]:
    """Bare `except:`."""
    return (ast.unparse(node)[:60] for node in walk(tree) if isinstance(node, ast.ExceptHandler) and node.type is None)


def mutable_state(tree: ast.Module) -> Iterator[str]:
    """Empty containers at the level of a module: they wait to be filled."""
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.List | ast.Dict | ast.Set) and not getattr(value, "elts", None) and not getattr(value, "keys", None):
            yield ast.unparse(node)
        if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in CONTAINERS:
            empty = all(isinstance(argument, ast.Name) for argument in value.args)  # of a kind, like `defaultdict(list)`
            if empty and not any(keyword.arg is None or keyword.arg != "maxlen" for keyword in value.keywords):
                yield ast.unparse(node)


def printing(tree: ast.AST) -> Iterator[str]:
    """Calls of print."""
    calls = (node for node in walk(tree) if isinstance(node, ast.Call))
    return (ast.unparse(call)[:60] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print")


def raw_numbers(tree: ast.AST) -> Iterator[str]:
    """Log lines with the number of something in place of its public id."""
    for node in walk(tree):
        if isinstance(node, ast.Call) and re.fullmatch(r"log\.(debug|info|warning|error|exception)", ast.unparse(node.func)):
            values = [keyword.value for keyword in node.keywords]
            yield from (ast.unparse(each) for each in values if isinstance(each, ast.Attribute) and re.fullmatch(r"(.*_)?id", each.attr))


READINGS = re.compile(r"(.*[._])?loop(\(\))?\.time|(.*\.)?datetime\.(utc)?now")
SECONDS = re.compile(r"time\.(time|monotonic|perf_counter|process_time|sleep)(_ns)?")


def clocks(tree: ast.AST) -> Iterator[str]:
    """Readings of the machine's clock, and waiting by it; `asyncio.sleep(0)` only lets others have their turn."""
    for node in walk(tree):
        if isinstance(node, ast.Call) and READINGS.fullmatch(ast.unparse(node.func)):
            yield ast.unparse(node.func)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.sleep" and ast.unparse(node.args[0]) != "0":
            yield ast.unparse(node)[:60]
        if isinstance(node, ast.Attribute) and SECONDS.fullmatch(ast.unparse(node)):
            yield ast.unparse(node)
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield ast.unparse(node)


def storing(tree: ast.AST) -> Iterator[str]:
    """Calls that write a message to a store."""
    calls = (node.func for node in walk(tree) if isinstance(node, ast.Call))
    for called in calls:
        if isinstance(called, ast.Attribute) and called.attr in DOORS and re.search("store", ast.unparse(called.value), re.IGNORECASE):
            yield ast.unparse(called)


def importing(tree: ast.AST) -> Iterator[str]:
    """Imports of what a pure module may not import."""
    for node in walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.partition(".")[0] in IMPURE)


def matches(path: Path, pattern: list[str]) -> bool:
    """Whether it is a module of the contract, or in such a package."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return len(parts) >= len(pattern) and all(map(fnmatchcase, parts, pattern))


def is_pure(path: Path, tree: ast.Module) -> bool:
    """Whether it does no I/O by the import contract, or says so itself."""
    return any(matches(path, pattern) for pattern in PURE) or re.search(r"\bPure\b", ast.get_docstring(tree) or "") is not None


def test_each_pattern_of_the_pure_contract_finds_modules() -> None:
    assert [pattern for pattern in PURE if not any(matches(path, pattern) for path in FILES)] == []
    assert sum(matches(path, ["api", "*", "schema"]) for path in FILES) > 10
    assert len(PURE) > 5


@cases("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_every_file_keeps_the_rules(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert list(swallowing(tree)) == []
    assert list(mutable_state(tree)) == []
    assert list(printing(tree)) == []
    assert list(raw_numbers(tree)) == []
    assert not BANNED & set(path.relative_to(SOURCE).with_suffix("").parts)
    assert ast.get_docstring(tree), "a module says what it is for"
    if path != SOURCE / "intake" / "commit.py" and path.relative_to(SOURCE).parts[0] != "testing":
        assert list(storing(tree)) == [], "every message comes in by the one door"
    if is_pure(path, tree):
        assert list(asynchronous(tree)) == []
        assert list(importing(tree)) == []
    if not path.is_relative_to(SOURCE / "runtime"):
        name = path.relative_to(SOURCE).as_posix()
        assert set(clocks(tree)) == CLOCKS.get(name, set()), "only runtime/ reads a clock; others take it as an argument"


@cases(
    ("rule", "code"),
    [
        (asynchronous, "async def f(): pass"),
        (importing, "import os.path"),
        (importing, "from asyncio import sleep"),
        (swallowing, "try:\n  f()\nexcept:\n  pass"),
        (mutable_state, "CACHE = {}"),
        (mutable_state, "SEEN: list[int] = []"),
        (mutable_state, "CACHE = dict()"),
        (mutable_state, "SEEN: set[int] = set()"),
        (mutable_state, "WAITING = collections.deque(maxlen=3)"),
        (mutable_state, "BY_NAME: Final = defaultdict(list)"),
        (printing, "print(1)"),
        (raw_numbers, "log.warning('lease_lost', message_id=claim.message.id)"),
        (raw_numbers, "log.exception('x', key=message.api_key_id)"),
        (clocks, "asyncio.get_running_loop().time()"),
        (clocks, "self._loop.time()"),
        (clocks, "loop.time()"),
        (clocks, "datetime.datetime.now(UTC)"),
        (clocks, "datetime.now(UTC)"),
        (clocks, "f(time.monotonic)"),
        (clocks, "time.perf_counter_ns()"),
        (clocks, "from time import monotonic"),
        (clocks, "await asyncio.sleep(0.1)"),
        (storing, "async def f(self): await self._store.amend(new, now)"),
        (storing, "store.accept(new)"),
        (storing, "needs.store.accept_all([new], None)"),
    ],
)
def test_the_rules_find_what_they_are_for(rule: object, code: str) -> None:
    assert callable(rule)
    assert list(rule(ast.parse(code)))


def test_the_standard_librarys_sqlite_is_not_loaded() -> None:
    modules = "sys, sendryd.app.build, sendryd.store.sqlite, sendryd.api.app, sendryd.delivery.worker, sendryd.submission.listener"
    code = f"import {modules}; print('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"False"


def cited() -> set[int]:
    """Numbers of the RFCs that the code cites."""
    return {int(number) for path in FILES for number in re.findall(r"RFC[ -]?(\d{3,5})", path.read_text("utf-8"))}


def test_every_cited_standard_is_listed_and_every_followed_one_cited() -> None:
    listed = tomllib.loads((ROOT / "docs/internals/specifications.toml").read_text("utf-8"))["specifications"]
    assert sorted(cited() - {int(number) for number in listed}) == []
    assert sorted(int(number) for number, entry in listed.items() if entry["status"] == "yes" and int(number) not in cited()) == []


def test_import_contracts() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


def test_reference_pages_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, "tools/reference.py", "--check"], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_lock_files_have_hashes_and_no_addresses() -> None:
    for path in ROOT.glob("requirements*.lock"):
        text = path.read_text("utf-8")
        assert "://" not in text
        assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z])", text.strip()) if "==" in block), path


def test_links_in_documents_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_files_that_the_architecture_names_are_there() -> None:
    text = "".join((ROOT / page).read_text("utf-8") for page in ("ARCHITECTURE.md", "CONTRIBUTING.md"))
    named = {name for name in re.findall(r"`([a-z_]+/[\w./]*)`", text) if "NNNN" not in name}
    assert len(named) > 50
    assert sorted(name for name in named if not any((place / name).exists() for place in (ROOT, SOURCE))) == []


def test_names_of_the_glossary_are_in_the_code() -> None:
    rows = [line.rpartition(" | ")[2] for line in (ROOT / "docs/glossary.md").read_text("utf-8").splitlines()]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    code = "".join(path.read_text("utf-8") for path in FILES)
    places = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*")} | {path.name for path in FILES}
    assert len(named) > 40
    assert sorted(name for name in named if name.rstrip("/") not in places and not re.search(rf"\b{re.escape(name)}\b", code)) == []
