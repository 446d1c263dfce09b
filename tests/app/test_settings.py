"""Settings: every form, every fault named in one line."""

from datetime import timedelta
from pathlib import Path

import pytest

from sendryd.app.settings import Settings, SettingsError, load_settings
from sendryd.app.values import Address, Rate, parse_smart_host
from sendryd.policy.routing import Security, SmartHost


def test_defaults() -> None:
    settings = load_settings({})
    assert settings.smtp_listen == (Address("127.0.0.1", 2587),)
    assert settings.http_listen == Address("127.0.0.1", 8025)
    assert settings.max_message_size == 40 * 1024 * 1024
    assert settings.retry_schedule[0] == timedelta(minutes=1)
    assert settings.api_rate_limit == Rate(100, timedelta(seconds=10))
    assert settings.cert_path == Path("var/tls/cert.pem")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sendryd.toml"
    file.write_text('hostname = "file.test"\nmx_port = 2525\nsmtp_listen = ["127.0.0.1:1", "[::]:2"]\nhide_client_address = true\n')
    settings = load_settings({"SENDRYD_HOSTNAME": "env.test", "SENDRYD_CONFIG": str(file)})
    assert (settings.hostname, settings.mx_port, settings.hide_client_address) == ("env.test", 2525, True)
    assert settings.smtp_listen == (Address("127.0.0.1", 1), Address("::", 2))
    assert load_settings({}, file).hostname == "file.test"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SENDRYD_NONSENSE", "1"),
        ("SENDRYD_MX_PORT", "x"),
        ("SENDRYD_MX_PORT", "0"),
        ("SENDRYD_MX_PORT", "٣"),
        ("SENDRYD_SMTP_LISTEN", ""),
        ("SENDRYD_SMTP_LISTEN", "127.0.0.1"),
        ("SENDRYD_SMTP_LISTEN", "127.0.0.1:99999"),
        ("SENDRYD_SMTP_LISTEN", "::1:25"),
        ("SENDRYD_HTTP_LISTEN", "a b:1"),
        ("SENDRYD_RETRY_SCHEDULE", "1m,,5m"),
        ("SENDRYD_RETRY_SCHEDULE", "0s"),
        ("SENDRYD_MAX_QUEUE_AGE", "3 days"),
        ("SENDRYD_MAX_MESSAGE_SIZE", "40MB"),
        ("SENDRYD_API_RATE_LIMIT", "0/10s"),
        ("SENDRYD_API_RATE_LIMIT", "fast"),
        ("SENDRYD_SMARTHOST", "http://example.org"),
        ("SENDRYD_SMARTHOST", "smtp://"),
        ("SENDRYD_SMARTHOST", "smtp://h:99999"),
        ("SENDRYD_HTTP_TLS", "perhaps"),
        ("SENDRYD_LOG_LEVEL", "loud"),
        ("SENDRYD_LOG_FORMAT", "xml"),
        ("SENDRYD_TRUSTED_PROXIES", "300.1.1.1"),
        ("SENDRYD_HOSTNAME", "not a name"),
        ("SENDRYD_DATABASE_URL", "postgresql://localhost/x"),
        ("SENDRYD_INBOUND_LISTEN", "0.0.0.0:25"),
        ("SENDRYD_TLS_CERT", "/tmp/cert.pem"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: value})
    assert variable in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "named"), [("hostnam = 'x'", "hostnam"), ("mx_port = 'x'", "MX_PORT"), ("= broken", "TOML")])
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "sendryd.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=named):
        load_settings({}, file)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings({}, tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp://hub.test", SmartHost("hub.test", 587, Security.STARTTLS)),
        ("smtps://u:p%40ss@hub.test", SmartHost("hub.test", 465, Security.IMPLICIT_TLS, ("u", "p@ss"))),
        ("smtp+notls://127.0.0.1:2500", SmartHost("127.0.0.1", 2500, Security.CLEAR_TEXT)),
        ("", None),
    ],
)
def test_smart_hosts(text: str, expected: SmartHost | None) -> None:
    assert parse_smart_host(text) == expected


def test_secrets_are_not_in_representations() -> None:
    assert "hunter2" not in repr(load_settings({"SENDRYD_SMARTHOST": "smtp://user:hunter2@hub.test"}))


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
