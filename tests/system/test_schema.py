"""The whole description, tried out on the real program by schemathesis: no fault of the server, no answer that is not described, no way in
without a key.

By itself it tries the same each time. `SENDRYD_TEST_SCHEMA_SECONDS` makes it try for so long, and otherwise each time.
"""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from sendryd.model.moment import timestamp
from sendryd.runtime.clock import SystemClock
from sendryd.testing.world import World

SECONDS: Final = int(os.environ.get("SENDRYD_TEST_SCHEMA_SECONDS", "0"))
EXAMPLES: Final = 100 if SECONDS else 4
TIMEOUT: Final = SECONDS * 2 + 900  # a busy machine is much slower than a quiet one
HOOKS: Final = Path(__file__).parents[1] / "data" / "schemathesis" / "hooks.py"
DOMAIN: Final = "example.com"  # that of the description's examples
UNLOGGED: Final = ("/v1/analytics", "/v1/logs")  # beginnings of paths
MAX_UNANSWERED: Final = 8  # operations that chance, or the order of the others, may keep from success
MAIL: Final[dict[str, Any]] = {
    "from": f"hello@{DOMAIN}",
    "to": "user@example.org",
    "subject": "Hello",
    "html": '<p>Hi <a href="https://example.test/">there</a></p>',
    "attachments": [{"filename": "a.txt", "content": "SGVsbG8="}],
}

CONFIG: Final = """\
hooks = {hooks}
continue-on-failure = true
request-timeout = 30.0
warnings = false

[generation]
database = "none"
no-shrink = true

[checks]
# Rules that are told in words (what a domain is, a moment in the future, a template that can be read) are refused with a 422 that names its
# field, which a check of ours looks at. What must not come is another refusal of what is right by its description.
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]

[phases]
examples.enabled = false
fuzzing.generation.max-examples = {examples}
stateful.generation.max-examples = {examples}

[[operations]]
include-path-regex = "^/v1/emails(/batch|/marketing)?$"
include-method = "POST"
[operations.parameters]
"body.from" = {{ dictionary = "authors", probability = 0.8 }}
"body.template_id" = {{ dictionary = "templates", probability = 0.5 }}

[[operations]]
include-path-regex = "^/v1/analytics"
parameters = {{ "query.from" = {{ dictionary = "starts", probability = 0.8 }}, "query.to" = {{ dictionary = "ends", probability = 0.8 }} }}

{operations}
[dictionaries]
starts.values = ["2026-01-01", "2026-01-01T12:00:00Z"]
ends.values = ["2026-01-31", "2026-02-01T12:00:00+02:00"]
authors.values = [{author}]
{dictionaries}
"""
OPERATION: Final = """\
[[operations]]
include-path-regex = "^/v1/{kind}/\\\\{{id"
exclude-method = "DELETE"
parameters = {{ "path.id" = {{ dictionary = "{word}", probability = 0.6 }} }}
"""


@pytest.fixture
def full(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world") as made:
        made.publish(DOMAIN)
        yield made


def call(world: World, method: str, path: str, body: object = None, *, secret: str = "") -> Any:
    host, _, port = world.relay.ready["http"].rpartition("//")[2].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        key = secret or world.live_key
        connection.request(method, path, None if body is None else json.dumps(body), {"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        return answer
    finally:
        connection.close()


def fill(world: World) -> dict[str, list[str]]:
    """Something of everything: ids, by the path that lists them."""
    webhooks = [{"url": f"http://127.0.0.1:1024/{n}", "events": ["email.delivered"]} for n in range(3)]
    made = {
        "webhooks": [call(world, "POST", "/v1/webhooks", each)["id"] for each in webhooks],
        "templates": [call(world, "POST", "/v1/templates", {"name": f"t{n}", "html": "<p>{{name}}</p>"})["id"] for n in range(3)],
        "emails": [call(world, "POST", "/v1/emails", MAIL | when)["id"] for when in ({}, *[{"scheduled_at": "in 2 hours"}] * 5)],
        "unsubscribes": [call(world, "POST", "/v1/unsubscribes", {"email": "out@example.org"})["id"]],
        "domains": [each["id"] for each in call(world, "GET", "/v1/domains")["data"]],
    }
    for number in range(3):
        call(world, "POST", "/v1/emails", MAIL | {"subject": f"Test {number}"}, secret=world.test_key)
    made["test-emails"] = [each["id"] for each in call(world, "GET", "/v1/test-emails")["data"]]
    for domain in made["domains"]:
        call(world, "POST", f"/v1/domains/{domain}/bimi", {"logo_url": "https://example.com/logo.svg"})
    for template in made["templates"]:
        call(world, "PUT", f"/v1/templates/{template}", {"html": "<b>{{name}}</b>"})
    for webhook in made["webhooks"]:
        call(world, "POST", f"/v1/webhooks/{webhook}/test")
    made["webhooks/deliveries"] = [each["id"] for each in call(world, "GET", "/v1/webhooks/deliveries")["data"]]
    return made


def configure(made: dict[str, list[str]]) -> str:
    word = {kind: kind.replace("/", "_") for kind in made}
    return CONFIG.format(
        hooks=json.dumps(str(HOOKS)),
        author=json.dumps(MAIL["from"]),
        examples=EXAMPLES,
        operations="\n".join(OPERATION.format(kind=kind, word=word[kind]) for kind in made),
        dictionaries="\n".join(f"{word[kind]}.values = {json.dumps(ids)}" for kind, ids in made.items()),
    )


@pytest.mark.timeout(TIMEOUT)
def test_the_program_does_what_its_description_says(full: World, tmp_path: Path) -> None:
    own_key = next(each for each in call(full, "GET", "/v1/api-keys")["data"] if full.live_key.startswith(each["key_prefix"]))
    (tmp_path / "schemathesis.toml").write_text(configure(fill(full)))
    started = timestamp(SystemClock().now())
    # By itself schemathesis has little patience for the description.
    (tmp_path / "openapi.json").write_text(json.dumps(call(full, "GET", "/openapi.json")))
    for phases in ("coverage,fuzzing", "stateful"):
        done = run(full, tmp_path, phases, own_key["id"])
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
        assert full.relay.get("/v1/smtp/info", full.live_key)[0] == 200, "its key was good to the end"
    missing = unanswered(full, started)
    assert len(missing) <= MAX_UNANSWERED, "never answered with 200: " + ", ".join(sorted(missing))
    log = full.relay.log_path.read_text()
    assert '"request_failed"' not in log
    assert "Traceback" not in log


def run(world: World, directory: Path, phases: str, own_key: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(directory / "schemathesis.toml"), "run"),
            *("openapi.json", "--url", world.relay.ready["http"], "--header", f"Authorization: Bearer {world.live_key}", "--no-color"),
            *("--checks", "all", "--phases", phases),
            *(("--max-time", str(SECONDS // 2)) if SECONDS else ("--generation-deterministic",)),
        ],
        env={**os.environ, "SCHEMA_TEST_OWN_KEY": own_key},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def unanswered(world: World, started: str) -> set[str]:
    """The operations with a key that no request since then succeeded in, as far as the log of requests tells."""
    described = {
        f"{method.upper()} {path}": re.compile(f"{method.upper()} {re.sub('{[^}]*}', '[^/]+', path)}")
        for path, item in call(world, "GET", "/openapi.json")["paths"].items()
        for method, operation in item.items()
        if operation["security"] and not path.startswith(UNLOGGED)
    }
    operations = described
    cursor = ""
    while operations:
        page = call(world, "GET", f"/v1/logs/api-requests?status_code=200&limit=100{cursor}")
        names = [f"{each['method']} {each['path'].removesuffix('/')}" for each in page["data"] if each["created_at"] >= started]
        found = {name if name in described else each for name in names for each, pattern in operations.items() if pattern.fullmatch(name)}
        operations = {each: pattern for each, pattern in operations.items() if each not in found}
        if not names or not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    return set(operations)
