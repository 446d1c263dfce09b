"""The file of the operator's shaping rules."""

import os
from pathlib import Path

import pytest

from sendryd.delivery.rulefile import MAX_SIZE, RuleFile, own_rules
from sendryd.policy.shaping.rules import RulesInvalid, site_of


def write(path: Path, text: str, moment: int) -> None:
    path.write_text(text, "utf-8")
    os.utime(path, (moment, moment))


def test_the_program_has_rules_of_large_providers() -> None:
    rules = own_rules()
    assert site_of(rules, "corp.test", ["aspmx.l.google.com", "alt1.aspmx.l.google.com"]) == "google"
    assert rules.limits_of("google").connections == 5
    assert rules.limits_of("google").is_tls_required
    assert site_of(rules, "corp.test", ["corp-test.mail.protection.outlook.com"]) == "office365"
    assert site_of(rules, "hotmail.test", ["hotmail-com.olc.protection.outlook.com"]) == "microsoft"
    assert rules.limits_of("yahoo").messages_per_connection == 20
    assert [each.seconds for each in rules.replies_of("yahoo")] == [7200.0, 14400.0]


@pytest.mark.parametrize("host", ["www.google.com", "c-1.hsd1.comcast.net", "l1.w1.abo.wanadoo.fr", "www.icloud.com", "www.t-online.de"])
def test_other_hosts_in_the_zone_of_a_provider_are_not_its_servers(host: str) -> None:
    assert site_of(own_rules(), "evil.test", [host]) == f"{host}+0"
    assert site_of(own_rules(), host, []) == host


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    write(path, "[provider.google]\nconnections = 2", 1)
    file = RuleFile(path)
    file.load()
    assert file.rules.limits_of("google").connections == 2
    assert not file.reload_if_changed()
    write(path, "[provider.google]\nconnections = 3", 2)
    assert file.reload_if_changed()
    assert file.rules.limits_of("google").connections == 3


@pytest.mark.parametrize("text", ["[provider", "[provider.google]\nconnections = 0", None])
def test_a_broken_file_keeps_the_rules_and_is_named_once(tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rules.toml"
    write(path, "[provider.google]\nconnections = 2", 1)
    file = RuleFile(path)
    file.load()
    if text is None:
        path.unlink()
    else:
        write(path, text, 2)
    assert not file.reload_if_changed()
    assert not file.reload_if_changed()
    assert file.rules.limits_of("google").connections == 2
    assert capsys.readouterr().out.count("shaping_rules_not_reloaded") == 1
    write(path, "[provider.google]\nconnections = 4", 3)
    assert file.reload_if_changed()


@pytest.mark.parametrize("content", [b"[provider", b"\xff", b"#" * (MAX_SIZE + 1)])
def test_at_the_start_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(content)
    with pytest.raises(RulesInvalid, match=str(path)):
        RuleFile(path).load()


def test_without_a_file_the_rules_are_those_of_the_program() -> None:
    file = RuleFile(None)
    file.load()
    assert not file.reload_if_changed()
    assert file.rules == own_rules()
