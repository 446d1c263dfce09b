"""Makes the reference pages from the code: settings, errors, events, receivers, command line, daemons, states, the index of decisions, and `.env.example`.

With --check, fails if they would change.
"""

import ast
import io
import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

os.environ |= {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}  # as the pages are to be, whatever terminal this is

from sendryd.app.settings import PREFIX, Settings
from sendryd.cli.main import app
from sendryd.model.event import EventType
from sendryd.model.webhook import WebhookEvent
from sendryd.policy.refusal import CATALOGUE
from sendryd.smtp import server_replies
from sendryd.smtp.reply import Reply
from sendryd.smtp.states import CLIENT_MOVES, SERVER_MOVES, Verb
from sendryd.submission import replies

ROOT = Path(__file__).parents[1]
MAX_REPLY = 120  # characters of a reply in a table
COMMANDS = (
    (),
    ("serve",),
    ("keys", "create"),
    ("keys", "list"),
    ("keys", "revoke"),
    ("keys", "rotate"),
    ("account", "show"),
    ("account", "set"),
    ("domains", "add"),
    ("domains", "list"),
    ("domains", "show"),
    ("domains", "verify"),
    ("domains", "set"),
    ("domains", "remove"),
    ("suppressions", "list"),
    ("suppressions", "add"),
    ("suppressions", "remove"),
    ("suppressions", "import"),
    ("suppressions", "export"),
    ("queue", "list"),
    ("queue", "show"),
    ("queue", "retry"),
    ("queue", "hold"),
    ("queue", "release"),
    ("queue", "cancel"),
    ("queue", "bounce"),
    ("queue", "reprioritise"),
    ("queue", "reroute"),
    ("queue", "suspend"),
    ("queue", "resume"),
    ("queue", "suspensions"),
    ("queue", "addresses"),
    ("queue", "effects"),
    ("queue", "relax"),
    ("queue", "trace"),
    ("queue", "replies"),
    ("reports", "list"),
    ("reports", "show"),
    ("send",),
    ("demo",),
    ("migrate",),
    ("backup",),
    ("restore",),
    ("version",),
)


def default_of(name: str) -> str:
    """A default as it would be written."""
    return str(Settings.model_fields[name].default)


def settings_page() -> str:
    """docs/reference/settings.md."""
    lines = [
        "# Settings",
        "",
        "Environment variables, or the same names in lower case without the prefix in a TOML file named by `--config` or `SENDRYD_CONFIG`.",
        "The environment wins. An unknown or malformed setting stops the program with one line that names it. Durations: `250ms`, `5s`, `1m`,",
        "`2h`, `3d`. Sizes: `512KiB`, `40MiB`.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = default_of(name)
        lines.append(
            f"| `{PREFIX}{name.upper()}` | {f'`{default}`' if default else '–'} | {(field.description or '').replace('|', chr(92) + '|')} |"
        )
    return "\n".join(lines) + "\n"


def environment_example() -> str:
    """.env.example."""
    lines = ["# All settings with their defaults; docs/reference/settings.md explains them."]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {field.description}", f"#{PREFIX}{name.upper()}={default_of(name)}"]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """docs/reference/errors.md."""
    lines = [
        "# Refusals",
        "",
        "What the doors refuse, for one reason at both of them.",
        "",
        "| reason | SMTP | HTTP | sentence |",
        "|---|---|---|---|",
    ]
    for key, each in CATALOGUE.items():
        lines.append(
            f"| `{key.value}` | {each.smtp_code} {each.smtp_enhanced} | {each.http_status} `{each.http_code}` | {each.sentence.replace('{}', '…')} |"
        )
    lines += ["", "What the SMTP server answers by itself, before a refusal is decided:", "", "| reply | sentence |", "|---|---|"]
    lines += [f"| {each.code} {each.enhanced or '–'} | {each.text} |" for each in _own_replies()]
    return "\n".join(lines) + "\n"


def _own_replies() -> list[Reply]:
    found = [each for module in (server_replies, replies) for each in vars(module).values() if isinstance(each, Reply)]
    found += server_replies.FLAWED.values()
    return sorted({each for each in found if each.code >= 400}, key=lambda each: (each.code, str(each.enhanced), each.text))


def commands_page() -> str:
    """docs/reference/cli.md."""
    sections = ["# Command line\n"]
    for command in COMMANDS:
        with redirect_stdout(io.StringIO()) as printed, suppress(SystemExit):
            app([*command, "--help"], prog_name="sendryd")
        text = "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())
        sections.append(f"## sendryd {' '.join(command)}".rstrip() + f"\n\n```\n{text}\n```\n")
    return "\n".join(sections)


DAEMONS = (
    "submission/listener",
    "intake/accept",
    "delivery/scheduler",
    "delivery/claiming",
    "delivery/lanes",
    "delivery/leases",
    "delivery/worker",
    "delivery/egress",
    "delivery/tls_fallback",
    "delivery/recording",
    "delivery/pool",
    "notify/dispatcher",
    "tracking/recorder",
    "upkeep/queue",
    "upkeep/retention",
    "upkeep/captures",
    "upkeep/domains",
    "upkeep/reports",
    "upkeep/tls_reports",
)


def daemons_page() -> str:
    """docs/operations/daemons.md: what the modules that run say of themselves."""
    sections = ["# What runs\n"]
    for name in DAEMONS:
        text = ast.get_docstring(ast.parse((ROOT / "src/sendryd" / f"{name}.py").read_text("utf-8"))) or ""
        first, _, rest = text.partition("\n\n")
        points = re.sub(r"(?m)^((?:[A-Z][a-z]+)(?:, [a-z]+)*(?: [a-z]+)*: )", r"* \1", rest)
        sections.append(f"## {name.replace('/', '.')}\n\n{first}\n\n{points}\n")
    return "\n".join(sections)


def diagram(moves: Mapping[tuple[Any, Verb, int], Any], others: Sequence[tuple[str, str, str]]) -> list[str]:
    """A Mermaid diagram. What leaves a state as it is, and what leads from everywhere to one state, is said in the text beside it."""
    labels: dict[tuple[str, str], dict[str, list[int]]] = {}
    for (before, verb, answer), after in moves.items():
        if before is not after:
            labels.setdefault((before.name, after.name), {}).setdefault(str(verb), []).append(answer)
    lines = ["```mermaid", "stateDiagram-v2"]
    for (before, after), verbs in labels.items():
        named = [f"{verb} {'/'.join(f'{answer}yz' for answer in sorted(answers))}" for verb, answers in verbs.items()]
        lines.append(f"    {before} --> {after}: {', '.join(named)}")
    lines += [f"    {before} --> {after}: {label}" for before, after, label in others]
    return [*lines, "```"]


def states_page() -> str:
    """docs/internals/states.md: the machines of `smtp/states.py`."""
    lines = [
        "# The states of an SMTP session",
        "",
        "Made from the tables of `smtp/states.py`. An arrow is a reply: the verb that it answers, and the class of its code. A reply that is not",
        "drawn leaves the state as it is.",
        "",
        "## The server",
        "",
        "A command that is not in order is answered 503. QUIT, a 421 and the end of the stream lead from every state to CLOSED.",
        "",
        *diagram(SERVER_MOVES, [("TLS", "START", "handshake"), ("MAIL", "DATA", "DATA without a recipient")]),
        "",
        "## The client",
        "",
        "A 421 leads from every state to CLOSING. A reply that cannot answer what was said leads to BROKEN.",
        "",
        *diagram(CLIENT_MOVES, [("TLS", "OPEN", "handshake"), ("CONTENT", "SENT", "lone dot")]),
    ]
    return "\n".join(lines) + "\n"


DECISION = re.compile(
    r"# (\d+)\. (.+)\n\nDate: (\d{4}-\d\d-\d\d)\. Status: (accepted(?:, in part superseded by \d+)?|superseded by \d+)\.\n\n## Context\n"
)


def decisions_page() -> str:
    """docs/decisions/README.md: the index of the decision records. Raises ValueError for a record without the uniform head and sections."""
    lines = [
        "# Decisions",
        "",
        "A record says what was decided, why, and what follows from it. Each has this head; a later record that replaces it is named in its status.",
        "",
        "```",
        "# 17. Title",
        "",
        "Date: 2026-11-24. Status: accepted.",
        "```",
        "",
        "The status is `accepted`, `accepted, in part superseded by N` or `superseded by N`; the sections are Context, Decision and Consequences.",
        "Numbers that are missing were never used.",
        "",
        "| | decision | date | status |",
        "|---|---|---|---|",
    ]
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        text = path.read_text("utf-8")
        head = DECISION.match(text)
        if (
            head is None
            or int(head[1]) != int(path.name[:4])
            or re.findall(r"(?m)^## (.*)$", text) != ["Context", "Decision", "Consequences"]
        ):
            raise ValueError(f"{path.relative_to(ROOT)} lacks the head or the sections that docs/decisions/README.md shows")
        lines.append(f"| {head[1]} | [{head[2]}]({path.name}) | {head[3]} | {head[4]} |")
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """docs/reference/events.md: the words of events, and of what webhooks are told."""
    lines = ["# Events", "", "Of a message, for each recipient (`GET /v1/emails/:id/events`, `GET /v1/logs`):", ""]
    lines += [f"* `{each.value}`" for each in EventType]
    lines += ["", "What a webhook can ask for:", "", *(f"* `{each.value}`" for each in WebhookEvent)]
    return "\n".join(lines) + "\n"


def receivers_page() -> str:
    """docs/reference/receivers.md: what sendryd does when receivers and DNS misbehave, from the cases of the tests."""
    cases = tomllib.loads((ROOT / "tests/data/misbehaviour.toml").read_text("utf-8"))["case"]
    replies = tomllib.loads((ROOT / "tests/data/replies.toml").read_text("utf-8"))["reply"]
    lines = [
        "# What receivers and DNS do wrong, and what sendryd does",
        "",
        "Each line names a test that follows an accepted message to its fate at real receiving servers.",
        "This page is made from `tests/data/misbehaviour.toml` and `tests/data/replies.toml`.",
    ]
    for area in dict.fromkeys(each["area"] for each in cases):
        lines += ["", f"## {area}", "", "| misbehaviour | what sendryd does | test |", "|---|---|---|"]
        for each in cases:
            if each["area"] == area:
                path, _, name = each["test"].partition("::")
                lines.append(f"| {_cell(each['case'])} | {_cell(each['does'])} | [{name}](../../{path}) |")
    lines += [
        "",
        "## Replies",
        "",
        f"What {len(replies)} replies become, as they were seen. An address is suppressed only where the last column says so.",
    ]
    lines += ["", "| receiver | at | reply | becomes | category | suppresses |", "|---|---|---|---|---|---|"]
    for each in replies:
        text = " ".join(str(each["text"]).split())
        shown = text if len(text) <= MAX_REPLY else f"{text[:MAX_REPLY].rpartition(' ')[0]} …"
        suppresses = "yes" if each.get("suppresses") else ""
        kind = f"{each['kind']}, {each['bounce']}" if "bounce" in each else each["kind"]
        lines.append(f"| {_cell(each['from'])} | {each['step']} | {_cell(shown)} | {kind} | {each['category']} | {suppresses} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def main() -> int:
    """Writes, or compares."""
    pages = {
        ROOT / "docs/reference/settings.md": settings_page(),
        ROOT / "docs/reference/errors.md": errors_page(),
        ROOT / "docs/reference/cli.md": commands_page(),
        ROOT / "docs/reference/events.md": events_page(),
        ROOT / "docs/reference/receivers.md": receivers_page(),
        ROOT / "docs/decisions/README.md": decisions_page(),
        ROOT / "docs/operations/daemons.md": daemons_page(),
        ROOT / "docs/internals/states.md": states_page(),
        ROOT / ".env.example": environment_example(),
    }
    changed = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv:
        for path in changed:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run `make docs`\n")
        return 1 if changed else 0
    for path in changed:
        path.write_text(pages[path], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
