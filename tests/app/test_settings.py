"""Settings: every form, every fault named in one line."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from sendryd.app.settings import Settings, SettingsError, load_settings
from sendryd.app.values import Address, Rate
from sendryd.policy.routing import Security, SmartHost
from sendryd.policy.smarthost import parse_smart_host
from sendryd.testing.cases import cases

DEFAULTS = {  # public: whoever leaves a setting out relies on it
    "data_dir": "./var",
    "database_url": "",
    "node_name": "",
    "hostname": "",
    "public_url": "",
    "content_url": "",
    "smtp_listen": "127.0.0.1:2587",
    "smtps_listen": "",
    "smtp_public_port": "",
    "inbound_listen": "",
    "bounce_domain": "",
    "ca_file": "",
    "dns_trust_ad": "auto",
    "mta_sts_port": "443",
    "tls_reports": "false",
    "http_listen": "127.0.0.1:8025",
    "http_tls": "false",
    "trusted_proxies": "",
    "tls_cert": "",
    "tls_key": "",
    "dns_resolver": "",
    "mx_port": "25",
    "smarthost": "",
    "egress": "",
    "shaping_file": "",
    "allow_private_networks": "false",
    "dkim_selector": "sendry",
    "spf_include": "",
    "dashboard": "true",
    "insecure_dashboard": "false",
    "oidc_issuer": "",
    "oidc_client_id": "",
    "oidc_client_secret_file": "",
    "block_lists": "",
    "api_rate_limit": "100/10s",
    "key_quota": "",
    "account_quota": "",
    "smtp_max_connections": "10000",
    "smtp_max_connections_per_address": "2000",
    "smtp_max_connections_unauthenticated_per_address": "100",
    "max_keys": "1000",
    "max_domains": "1000",
    "max_templates": "1000",
    "retry_schedule": "1m,5m,15m,30m,1h,2h,4h,8h",
    "max_queue_age": "72h",
    "webhook_retry_schedule": "5s,1m,5m,30m,2h,5h,10h",
    "webhook_signature": "body",
    "max_message_size": "40MiB",
    "max_recipients": "1000",
    "message_retention": "30d",
    "event_retention": "90d",
    "hide_client_address": "false",
    "log_format": "",
    "log_level": "info",
}


def test_defaults() -> None:
    settings = load_settings({})
    assert settings == load_settings({f"SENDRYD_{name.upper()}": value for name, value in DEFAULTS.items()})
    assert settings.cert_path == Path("var/tls/cert.pem")


def test_no_default_comes_or_goes_unseen() -> None:
    assert {name: field.default for name, field in Settings.model_fields.items()} == DEFAULTS


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sendryd.toml"
    file.write_text('hostname = "file.test"\nmx_port = 2525\nsmtp_listen = ["127.0.0.1:1", "[::]:2"]\nhide_client_address = true\n')
    settings = load_settings({"SENDRYD_HOSTNAME": "env.test", "SENDRYD_CONFIG": str(file)})
    assert (settings.hostname, settings.mx_port, settings.hide_client_address) == ("env.test", 2525, True)
    assert settings.smtp_listen == (Address("127.0.0.1", 1), Address("::", 2))
    assert load_settings({}, file).hostname == "file.test"


WRONG = [
    ("SENDRYD_NONSENSE", "1"),
    ("SENDRYD_MX_PORT", "x"),
    ("SENDRYD_MX_PORT", "0"),
    ("SENDRYD_MX_PORT", "65536"),
    ("SENDRYD_MX_PORT", ""),
    ("SENDRYD_SMTP_PUBLIC_PORT", "65536"),
    ("SENDRYD_SMTP_MAX_CONNECTIONS", "-1"),
    ("SENDRYD_DATA_DIR", ""),
    ("SENDRYD_DATA_DIR", " "),
    ("SENDRYD_MX_PORT", "٣"),
    ("SENDRYD_EGRESS", "default 192.0.2.1"),
    ("SENDRYD_SMTP_LISTEN", ""),
    ("SENDRYD_SMTP_LISTEN", "127.0.0.1"),
    ("SENDRYD_SMTP_LISTEN", "127.0.0.1:99999"),
    ("SENDRYD_SMTP_LISTEN", "::1:25"),
    ("SENDRYD_SMTP_LISTEN", "[::g]:25"),
    ("SENDRYD_SMTP_LISTEN", "[127.0.0.1]:25"),
    ("SENDRYD_SMTP_LISTEN", "127.0.0.1:25,"),
    ("SENDRYD_SMTPS_LISTEN", "localhost"),
    ("SENDRYD_HTTP_LISTEN", "a b:1"),
    ("SENDRYD_HTTP_LISTEN", "a..b:1"),
    ("SENDRYD_HTTP_LISTEN", "a:1,b:1"),
    ("SENDRYD_HTTP_LISTEN", ""),
    ("SENDRYD_DNS_RESOLVER", "127.0.0.1"),
    ("SENDRYD_PUBLIC_URL", "mail.example.com"),
    ("SENDRYD_PUBLIC_URL", "ftp://mail.example.com"),
    ("SENDRYD_PUBLIC_URL", "https://mail.example.com/?a=b"),
    ("SENDRYD_CONTENT_URL", "https://content.example.net/base"),
    ("SENDRYD_SPF_INCLUDE", "not a name"),
    ("SENDRYD_DKIM_SELECTOR", "a..b"),
    ("SENDRYD_RETRY_SCHEDULE", "1m,,5m"),
    ("SENDRYD_RETRY_SCHEDULE", "0s"),
    ("SENDRYD_MAX_QUEUE_AGE", "3 days"),
    ("SENDRYD_MAX_QUEUE_AGE", "0s"),
    ("SENDRYD_MESSAGE_RETENTION", "36501d"),
    ("SENDRYD_EVENT_RETENTION", ""),
    ("SENDRYD_WEBHOOK_RETRY_SCHEDULE", "5s;1m"),
    ("SENDRYD_WEBHOOK_SIGNATURE", "sha1"),
    ("SENDRYD_MAX_MESSAGE_SIZE", "40MB"),
    ("SENDRYD_MAX_MESSAGE_SIZE", "0"),
    ("SENDRYD_MAX_RECIPIENTS", "many"),
    ("SENDRYD_MAX_KEYS", "0"),
    ("SENDRYD_MAX_DOMAINS", "-1"),
    ("SENDRYD_MAX_TEMPLATES", "some"),
    ("SENDRYD_API_RATE_LIMIT", "100/0s"),
    ("SENDRYD_API_RATE_LIMIT", "100"),
    ("SENDRYD_API_RATE_LIMIT", "0/10s"),
    ("SENDRYD_API_RATE_LIMIT", "fast"),
    ("SENDRYD_SMARTHOST", "http://example.org"),
    ("SENDRYD_SMARTHOST", "smtp://"),
    ("SENDRYD_SMARTHOST", "smtp://h:99999"),
    ("SENDRYD_SMARTHOST", "smtp://h:0"),
    ("SENDRYD_SMARTHOST", "smtp://not a host"),
    ("SENDRYD_SMARTHOST", "smtp://:password@h"),
    ("SENDRYD_SMARTHOST", "smtp://h/path"),
    ("SENDRYD_SMARTHOST", "h:25"),
    ("SENDRYD_HTTP_TLS", "perhaps"),
    ("SENDRYD_LOG_LEVEL", "loud"),
    ("SENDRYD_LOG_FORMAT", "xml"),
    ("SENDRYD_DASHBOARD", "maybe"),
    ("SENDRYD_INSECURE_DASHBOARD", "maybe"),
    ("SENDRYD_OIDC_ISSUER", "id.example.com"),
    ("SENDRYD_OIDC_ISSUER", "http://id.example.com"),
    ("SENDRYD_OIDC_ISSUER", "https://id.example.com?x"),
    ("SENDRYD_OIDC_ISSUER", "https://id.example.com"),
    ("SENDRYD_OIDC_CLIENT_ID", "relay"),
    ("SENDRYD_OIDC_CLIENT_SECRET_FILE", "/etc/secret"),
    ("SENDRYD_BLOCK_LISTS", "zen.example,,not a name"),
    ("SENDRYD_TRUSTED_PROXIES", "300.1.1.1"),
    ("SENDRYD_HOSTNAME", "not a name"),
    ("SENDRYD_DATABASE_URL", "mysql://localhost/x"),
    ("SENDRYD_DATABASE_URL", "postgresql://localhost"),
    ("SENDRYD_DATABASE_URL", "postgresql://localhost:x/mail"),
    ("SENDRYD_NODE_NAME", "two words"),
    ("SENDRYD_BOUNCE_DOMAIN", "no domain"),
    ("SENDRYD_CA_FILE", "a\0b"),
    ("SENDRYD_SHAPING_FILE", "a\0b"),
    ("SENDRYD_DNS_TRUST_AD", "maybe"),
    ("SENDRYD_MTA_STS_PORT", "0"),
    ("SENDRYD_TLS_REPORTS", "maybe"),
    ("SENDRYD_INBOUND_LISTEN", "25"),
    ("SENDRYD_TLS_CERT", "/tmp/cert.pem"),
    ("SENDRYD_TLS_KEY", "/tmp/key.pem"),
    ("SENDRYD_ALLOW_PRIVATE_NETWORKS", "maybe"),
    ("SENDRYD_HIDE_CLIENT_ADDRESS", ""),
    ("SENDRYD_KEY_QUOTA", "1000"),
    ("SENDRYD_ACCOUNT_QUOTA", "1000/day"),
    ("SENDRYD_SMTP_MAX_CONNECTIONS_PER_ADDRESS", "0"),
    ("SENDRYD_SMTP_MAX_CONNECTIONS_UNAUTHENTICATED_PER_ADDRESS", "none"),
]


def test_every_setting_can_be_wrong() -> None:
    assert {variable for variable, _ in WRONG} >= {f"SENDRYD_{name.upper()}" for name in Settings.model_fields}


@cases(("variable", "value"), WRONG)
def test_what_is_wrong_is_named_in_one_line(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: value})
    assert variable in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("hostnam = 'x'", "hostnam"),
        ("MX_PORT = 25", "MX_PORT"),
        ("[smtp]\nlisten = 'x'", "smtp"),
        ("mx_port = 'x'", "MX_PORT"),
        ("mx_port = true", "MX_PORT"),
        ("mx_port = 2.5", "MX_PORT"),
        ("http_tls = []", "HTTP_TLS"),
        ("= broken", "TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "sendryd.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=named):
        load_settings({}, file)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings({}, tmp_path / "missing.toml")


@pytest.mark.parametrize(("content", "reason"), [(None, "cannot be read"), (b" \n", "is empty"), ("ü".encode(), "ASCII")], ids=repr)
def test_a_secret_that_is_none_is_told_at_the_start(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    provider = {"SENDRYD_OIDC_ISSUER": "https://id.example.com/", "SENDRYD_OIDC_CLIENT_ID": "relay"}
    assert load_settings(provider).oidc_issuer == "https://id.example.com/"  # compared letter by letter
    with pytest.raises(SettingsError, match=f"SENDRYD_OIDC_CLIENT_SECRET_FILE .*{reason}"):
        load_settings({**provider, "SENDRYD_OIDC_CLIENT_SECRET_FILE": str(file)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp://hub.test", SmartHost("hub.test", 587, Security.STARTTLS)),
        ("smtps://u:p%40ss@hub.test", SmartHost("hub.test", 465, Security.IMPLICIT_TLS, ("u", "p@ss"))),
        ("smtp://[::1]:2500", SmartHost("::1", 2500, Security.STARTTLS)),
        ("smtp+notls://127.0.0.1:2500", SmartHost("127.0.0.1", 2500, Security.CLEAR_TEXT)),
        ("", None),
    ],
)
def test_smart_hosts(text: str, expected: SmartHost | None) -> None:
    assert parse_smart_host(text) == expected


@pytest.mark.parametrize("text", ["smtp://user:hunter2@hub.test", "smtp://user:hunter2@hub.test:x", "smtp://user:hunter2@hub test"])
def test_secrets_are_shown_nowhere(text: str) -> None:
    try:
        shown = repr(load_settings({"SENDRYD_SMARTHOST": text}))
    except SettingsError as error:
        shown = str(error)
    assert "hunter2" not in shown


@cases(
    ("variable", "value", "name", "expected"),
    [
        ("SENDRYD_MAX_QUEUE_AGE", "250ms", "max_queue_age", timedelta(milliseconds=250)),
        ("SENDRYD_MESSAGE_RETENTION", "3d", "message_retention", timedelta(days=3)),
        ("SENDRYD_RETRY_SCHEDULE", "5s, 1m,2h", "retry_schedule", (timedelta(seconds=5), timedelta(minutes=1), timedelta(hours=2))),
        ("SENDRYD_MAX_MESSAGE_SIZE", "512KiB", "max_message_size", 512 * 1024),
        ("SENDRYD_MAX_MESSAGE_SIZE", "1000", "max_message_size", 1000),
        ("SENDRYD_HTTP_LISTEN", "[::]:8025", "http_listen", Address("::", 8025)),
        ("SENDRYD_SMTP_LISTEN", "0.0.0.0:587, [::1]:587", "smtp_listen", (Address("0.0.0.0", 587), Address("::1", 587))),
        ("SENDRYD_API_RATE_LIMIT", "OFF", "api_rate_limit", None),
        ("SENDRYD_API_RATE_LIMIT", "5/1m", "api_rate_limit", Rate(5, timedelta(minutes=1))),
        ("SENDRYD_HTTP_TLS", "TRUE", "http_tls", True),
        ("SENDRYD_SMTP_PUBLIC_PORT", "587", "smtp_public_port", 587),
        ("SENDRYD_TRUSTED_PROXIES", "10.0.0.0/8, ::1", "trusted_proxies", ("10.0.0.0/8", "::1")),
        ("SENDRYD_PUBLIC_URL", "https://mail.example.com:8443/base/", "public_url", "https://mail.example.com:8443/base"),
        ("SENDRYD_HOSTNAME", "mail.example.com.", "hostname", "mail.example.com"),
        ("SENDRYD_DNS_RESOLVER", "", "dns_resolver", None),
    ],
)
def test_forms(variable: str, value: str, name: str, expected: object) -> None:
    assert getattr(load_settings({variable: value}), name) == expected


def test_an_empty_host_name_is_that_of_the_machine() -> None:
    assert load_settings({"SENDRYD_HOSTNAME": ""}).hostname == load_settings({}).hostname != ""


def test_variables_of_the_tests_and_of_others_are_left_alone() -> None:
    load_settings({"SENDRYD_TEST_KILLS": "3", "SENDRY_API_KEY": "x", "PATH": "/bin", "SENDRYD_CONFIG": ""})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings({}).mx_port = 26


def test_every_setting_of_the_interface_is_there_and_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text("utf-8")
    example = (Path(__file__).parents[2] / ".env.example").read_text("utf-8")
    for name, field in Settings.model_fields.items():
        assert f"`SENDRYD_{name.upper()}`" in page
        assert f"#SENDRYD_{name.upper()}={field.default}\n" in example


def test_the_example_is_the_defaults() -> None:
    lines = (Path(__file__).parents[2] / ".env.example").read_text("utf-8").splitlines()
    pairs = (line.removeprefix("#").partition("=") for line in lines if line.startswith("#SENDRYD_"))
    assert load_settings({name: value for name, _, value in pairs}) == load_settings({})
