"""`sendryd suppressions`."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest


def emails(cli: Any, *options: str) -> list[str]:
    return [row["email"] for row in cli.json("suppressions", "list", *options)["data"]]


def test_add_list_remove(cli: Any) -> None:
    added = cli.json("suppressions", "add", "Ann@Example.org")
    assert (added["email"], added["reason"]) == ("ann@example.org", "manual")
    assert cli.json("suppressions", "add", "ann@example.org", "--reason", "complaint") == added
    cli.run("suppressions", "add", "bob@example.org", "--reason", "hard_bounce")
    assert emails(cli) == ["bob@example.org", "ann@example.org"]
    assert emails(cli, "--reason", "hard_bounce") == emails(cli, "--search", "BOB") == ["bob@example.org"]
    lines = cli.run("suppressions", "list").stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["bob@example.org", "hard_bounce"], ["ann@example.org", "manual"]]
    assert cli.json("suppressions", "remove", "ANN@example.org") == {"deleted": True}
    assert emails(cli) == ["bob@example.org"]


def test_what_goes_wrong_is_one_line(cli: Any) -> None:
    assert "nobody: an address is written as name@domain" in cli.fault("suppressions", "add", "nobody")
    assert "ann@example.org is not suppressed" in cli.fault("suppressions", "remove", "ann@example.org")
    cli.run("suppressions", "add", "ann@example.org", "--reason", "boredom", status=2)
    cli.run("suppressions", "add", status=2)
    assert emails(cli) == []


def test_lines_are_imported(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("\ufeffann@example.org\n\n  Bob@Example.org  \r\nann@example.org\n", "utf-8")
    assert cli.json("suppressions", "import", str(file), "--reason", "unsubscribe") == {"inserted": 2, "total": 3}
    reasons = {row["email"]: row["reason"] for row in cli.json("suppressions", "list")["data"]}
    assert reasons == {"ann@example.org": "unsubscribe", "bob@example.org": "unsubscribe"}


def test_what_was_exported_is_imported_again(cli: Any, tmp_path: Path) -> None:
    for address, reason in (("=cmd@example.org", "complaint"), ("+1@example.org", "manual"), ("ann@example.org", "hard_bounce")):
        cli.run("suppressions", "add", address, "--reason", reason)
    file = tmp_path / "list.csv"
    exported = cli.run("suppressions", "export").stdout
    assert [row[:2] for row in csv.reader(io.StringIO(exported))][1:] == [
        ["ann@example.org", "hard_bounce"],
        ["'+1@example.org", "manual"],
        ["'=cmd@example.org", "complaint"],
    ]
    assert len(cli.run("suppressions", "export", "--reason", "manual").stdout.splitlines()) == 2
    assert cli.json("suppressions", "export", "--reason", "manual") == cli.json("suppressions", "list", "--reason", "manual")
    file.write_text(exported, "utf-8", newline="")
    before = cli.json("suppressions", "list")["data"]
    for row in before:
        cli.run("suppressions", "remove", row["email"])
    assert cli.json("suppressions", "import", str(file)) == {"inserted": 3, "total": 3}
    after = {row["email"]: row["reason"] for row in cli.json("suppressions", "list")["data"]}
    assert after == {row["email"]: row["reason"] for row in before}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ann@example.org\nnobody\n", "line 2: an address is written"),
        (b"ann@example.org\nemail,reason\n", "line 2: an address is written"),
        (b"email,reason\nann@example.org,boredom\n", "line 2: the reason is one of hard_bounce"),
        (b"name,email\nann,ann@example.org\nbob\n", "line 3: the address is empty"),
        (b"ann@example.org\n\xff\xfe\n", "not UTF-8 text"),
    ],
)
def test_a_bad_file_stores_nothing(cli: Any, tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(content)
    assert words in cli.fault("suppressions", "import", str(file))
    assert emails(cli) == []


def test_a_file_that_is_not_there(cli: Any, tmp_path: Path) -> None:
    assert "No such file" in cli.fault("suppressions", "import", str(tmp_path / "none"))
