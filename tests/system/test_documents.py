"""What README and the how-tos show works as it stands there; what stands for something else (`em_…`, `sn_test_…`) is put in."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendryd.testing.process import RelayProcess
from sendryd.testing.world import World

ROOT = Path(__file__).parents[2]
DOMAIN = "example.com"
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
VARIES = re.compile(r"em_\w+|\d+")  # ids, ports and times of the demonstration
PLACEHOLDER = re.compile(r"\b([a-z]+)_…")


@pytest.fixture(scope="module")
def documented(world: World) -> Iterator[World]:
    """A world that has the documents' domain."""
    world.publish(DOMAIN)
    yield world
    world.relay.run("domains", "remove", DOMAIN)


def blocks(page: str, kind: str) -> list[str]:
    """The snippets of one kind, in order."""
    return [text for language, text in FENCE.findall((ROOT / page).read_text("utf-8")) if language == kind]


def put_in(world: World, text: str) -> str:
    """Keys and place of the world instead of those of the document."""
    text = text.replace("sn_test_…", world.test_key).replace("sn_live_…", world.live_key)
    return text.replace("http://127.0.0.1:8025", world.relay.ready["http"])


def run(*command: str, **env: str) -> str:
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.decode()


def test_the_tour(world: World, tmp_path: Path) -> None:
    tour = next(block for block in blocks("README.md", "sh") if "sendryd demo" in block)
    with RelayProcess(tmp_path / "data", {"SENDRYD_DNS_RESOLVER": f"127.0.0.1:{world.nameserver.port}"}) as relay:
        relay.env["SENDRYD_SMTP_LISTEN"] = relay.ready["smtp"]
        commands = [shlex.split(line.replace("sn_test_…", relay.keys["test"]), comments=True) for line in tour.splitlines()]
        assert len(commands) > 5
        for program, *arguments in commands:
            assert program == ".venv/bin/sendryd"
            if arguments != ["demo"]:  # it has a test of its own
                relay.run(*arguments)


def test_what_the_demo_prints() -> None:
    (shown,) = blocks("README.md", "console")
    printed = subprocess.run([sys.executable, "-m", "sendryd", "demo"], capture_output=True, text=True, timeout=60, check=True).stderr
    lines = {VARIES.sub("#", line).strip() for line in printed.splitlines()}
    command, *documented = (VARIES.sub("#", line).strip() for line in shown.splitlines())
    assert command == "$ make demo"
    assert [line for line in documented if line != "…" and line not in lines] == []


def test_the_sdk(world: World) -> None:
    (program,) = blocks("README.md", "python")
    assert "'subject': 'Hello'" in run(sys.executable, "-c", put_in(world, program))


@pytest.mark.needs("curl")
def test_curl(world: World) -> None:
    (command,) = (block for block in blocks("README.md", "sh") if block.startswith("curl"))
    assert json.loads(run("bash", "-c", put_in(world, command)))["id"].startswith("em_")


@pytest.mark.needs("curl")
def test_the_rest_api(documented: World) -> None:
    first, *rest = (put_in(documented, block) for block in blocks("docs/howto/rest.md", "sh"))
    first = first.replace(documented.test_key, documented.live_key)  # one of the snippets needs a domain of its own
    ids = {"dom": documented.relay.json("domains", "show", DOMAIN)["id"]}
    commands = [command for block in rest for command in re.findall(r"(?m)^api .*\n(?:  .*\n)*", block)]
    assert len(commands) > 12
    for command in commands:
        whole = PLACEHOLDER.sub(lambda match: ids[match[1]], command)
        is_for_tests = "test-emails" in whole
        prepare = first.replace(documented.live_key, documented.test_key) if is_for_tests else first
        if is_for_tests:  # there must be something to wait for
            run("bash", "-c", f"shopt -s expand_aliases\n{prepare}\n{commands[0].replace('order-4711', 'of-a-test-key')}")
        answer = json.loads(run("bash", "-c", f"shopt -s expand_aliases\n{prepare}\n{whole}"))
        assert "error" not in answer, (whole, answer)
        if match := re.fullmatch(r"([a-z]+)_\w+", str(answer.get("id"))):
            ids[match[1]] = answer["id"]


@pytest.mark.needs("curl")
def test_control_headers(documented: World, tmp_path: Path) -> None:
    body = {"name": "Receipt", "subject": "Thanks, {{ first_name }}", "text": "{% for item in items %}{{ item.name }} {% endfor %}"}
    request = urllib.request.Request(
        documented.relay.ready["http"] + "/v1/templates",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {documented.live_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        template_id = json.loads(response.read())["id"]
    (message,) = blocks("docs/howto/headers.md", "")
    message = re.sub(r"tmpl_\w+", template_id, message)
    file = tmp_path / "message"
    file.write_bytes(message.replace("\n", "\r\n").encode())
    author, recipient = (re.search(rf"(?m)^{name}: (.*)$", message) for name in ("From", "To"))
    assert author is not None
    assert recipient is not None
    envelope = ("--mail-from", author[1], "--mail-rcpt", recipient[1], "--user", f"sendry:{documented.live_key}")
    place = "smtp://{}:{}".format(*documented.relay.smtp)
    run("curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", str(documented.relay.cert), *envelope, "-T", str(file), place)
    mail = documented.wait_for_mail("Thanks, Ann")
    assert b"Tea" in documented.decoded(mail.content)
    assert b"x-sendry" not in mail.content.lower()


def test_what_to_watch(world: World) -> None:
    with urllib.request.urlopen(world.relay.ready["http"] + "/metrics", timeout=30) as response:
        shown = response.read().decode()
    names = re.findall(r"`(sendryd_\w+)`", (ROOT / "docs/operations/running.md").read_text("utf-8"))
    assert names
    for name in names:
        assert re.search(rf"(?m)^{name}[ {{]", shown), name
