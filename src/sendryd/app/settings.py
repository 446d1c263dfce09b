"""All settings, read once, from the environment and a TOML file. The descriptions here are the reference.

The environment wins over the file. Names in the file are those of the variables in lower case without the prefix.
"""

import os
import socket
import ssl
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sendryd.app.databaseurl import parse_database_url, parse_node_name
from sendryd.app.values import (
    Address,
    Rate,
    parse_address,
    parse_addresses,
    parse_hostname,
    parse_issuer,
    parse_names,
    parse_networks,
    parse_number,
    parse_origin,
    parse_period,
    parse_port,
    parse_public_url,
    parse_rate,
    parse_schedule,
    parse_size,
)
from sendryd.policy.egress import Source, parse_pools
from sendryd.policy.routing import SmartHost
from sendryd.policy.shaping.rules import RulesInvalid
from sendryd.policy.smarthost import parse_smart_host

PREFIX: Final = "SENDRYD_"
CONFIG_VARIABLE: Final = "SENDRYD_CONFIG"
TEST_PREFIX: Final = "SENDRYD_TEST_"  # for the project's own tests
BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}


class SettingsError(Exception):
    """A setting is unknown or malformed; the message is one line that names it."""


def _boolean(value: object) -> object:
    if isinstance(value, str):
        if value.strip().lower() not in BOOLEANS:
            raise ValueError("write true or false")
        return BOOLEANS[value.strip().lower()]
    return value


def _text(parse: Any) -> BeforeValidator:
    """A parser for values that come as text; a TOML list of texts counts as comma-separated."""

    def convert(value: object) -> object:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = ",".join(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise ValueError("write it as text")
        return parse(value)

    return BeforeValidator(convert)


def _or_none(parse: Any) -> Any:
    """The same parser, with None for an empty text."""
    return lambda text: parse(text) if text.strip() else None


def _word(text: str) -> str:
    return text.strip()


Duration = Annotated[timedelta, _text(parse_period)]
Schedule = Annotated[tuple[timedelta, ...], _text(parse_schedule)]
Size = Annotated[int, _text(parse_size)]
Number = Annotated[int, _text(parse_number)]
Port = Annotated[int, _text(parse_port)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Listener = Annotated[Address, _text(parse_address)]
Listeners = Annotated[tuple[Address, ...], _text(parse_addresses)]
Word = Annotated[str, _text(_word)]


def _path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise ValueError("write a path")
    return Path(text).expanduser()


def _hostname(text: str) -> str:
    return parse_hostname(text) if text.strip() else _machine_name()


def _machine_name() -> str:
    name = socket.getfqdn()
    if name.endswith(".arpa"):  # the name of an address, and not of the machine
        return "localhost"
    try:
        return parse_hostname(name)
    except ValueError:
        return "localhost"


def _setting(default: str = "", *, description: str) -> Any:
    """A setting whose default is written as its value would be."""
    return Field(default, description=description)


class Settings(BaseModel):
    """One frozen tree of values."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=True)

    data_dir: Annotated[Path, _text(_path)] = _setting("./var", description="Folder of the database, the certificate and the spool.")
    database_url: Annotated[str, _text(parse_database_url)] = _setting(
        "",
        description="`postgresql://user:password@host:port/database` for many nodes. Empty: SQLite in the data directory.",
    )
    node_name: Annotated[str, _text(lambda text: parse_node_name(text) if text.strip() else _machine_name())] = _setting(
        "",
        description="Name of this node beside others on one PostgreSQL. Empty: the machine's full name.",
    )
    hostname: Annotated[str, _text(_hostname)] = _setting(
        description="Name in greetings, `Received` and EHLO, and `host` of `GET /v1/smtp/info`. Empty: the machine's full name.",
    )
    public_url: Annotated[str, _text(parse_public_url)] = _setting(
        "",
        description="Base of tracking, unsubscribe and share links. Empty: `http://` and the HTTP address, or the host name if that is every address.",
    )
    content_url: Annotated[str, _text(parse_origin)] = _setting(
        "",
        description="Origin of the HTML of mails in the dashboard, of another host name that leads here, too. Empty: that of the dashboard, in a sandbox.",
    )
    smtp_listen: Listeners = _setting(
        "127.0.0.1:2587",
        description="Submission with STARTTLS; in production `0.0.0.0:587`. Several, comma-separated.",
    )
    smtps_listen: Listeners = _setting("", description="Submission with implicit TLS (port 465). Empty: off.")
    smtp_public_port: Annotated[int | None, _text(_or_none(parse_port))] = _setting(
        "", description="`port` of `GET /v1/smtp/info`. Empty: the port of the first listener."
    )
    inbound_listen: Listeners = _setting("", description="Port 25 for bounces, complaints and inbound mail. Empty: off.")
    bounce_domain: Annotated[str, _text(lambda text: text.strip() and parse_hostname(text).lower())] = _setting(
        "",
        description="Domain of our own return paths: MAIL FROM becomes `b+TOKEN@DOMAIN` unless a domain's `custom_return_path` says otherwise. Its MX"
        " leads to `INBOUND_LISTEN`. Empty: the reverse-path goes out as given.",
    )
    http_listen: Listener = _setting("127.0.0.1:8025", description="REST API, metrics and health. IPv6 as `[::]:8025`.")
    http_tls: Boolean = _setting("false", description="Serve HTTP over TLS with the certificate of the submission listeners.")
    trusted_proxies: Annotated[tuple[str, ...], _text(parse_networks)] = _setting(
        "", description="Addresses whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."
    )
    tls_cert: Annotated[Path | None, _text(_or_none(_path))] = _setting(
        "",
        description="Certificate as PEM. Empty: a self-signed one in `DATA_DIR/tls/cert.pem`, made on the first start. Reloaded when it changes.",
    )
    tls_key: Annotated[Path | None, _text(_or_none(_path))] = _setting(
        "", description="Its private key as PEM. Empty: `DATA_DIR/tls/key.pem`."
    )
    dns_resolver: Annotated[Address | None, _text(_or_none(parse_address))] = _setting(
        "", description="`host:port` of the resolver for MX, address and TXT look-ups. Empty: the system's."
    )
    ca_file: Annotated[Path | None, _text(_or_none(_path))] = _setting(
        "",
        description="Authorities as PEM, in place of the system's, for all that is verified: receivers under MTA-STS or `tls_policy` `enforced`,"
        " policy hosts, webhooks.",
    )
    tls_reports: Boolean = _setting(
        "false",
        description="Count how TLS with receiving servers goes, and send each domain that asks for it (TLS-RPT, RFC 8460) a report of the day before,"
        " from `tls-reports@` the oldest verified domain.",
    )
    mta_sts_port: Port = _setting("443", description="Port of MTA-STS policy hosts; for tests.")
    dns_trust_ad: Annotated[Literal["auto", "true", "false"], _text(_word)] = _setting(
        "auto",
        description="Whether the resolver's word that an answer is authenticated by DNSSEC counts, for DANE: `true`, `false`, or `auto`: only if the"
        " resolver is on loopback. The resolver has to validate, as unbound does.",
    )
    mx_port: Port = _setting("25", description="Port of receiving hosts; for tests.")
    smarthost: Annotated[SmartHost | None, _text(parse_smart_host)] = _setting(
        "",
        description="`smtp://user:password@host:port`, `smtps://…` or `smtp+notls://…`: hand everything to this host instead of the MX.",
    )
    egress: Annotated[dict[str, tuple[Source, ...]], _text(parse_pools)] = _setting(
        "",
        description="Addresses that mail leaves from, in pools: `POOL ADDRESS NAME [weight=N] [warmup_from=DATE]` for each, comma-separated. NAME is"
        " what EHLO says. A domain may name its pool; mail of the others leaves from the pool `default`. Empty, or without `default`: the system"
        " chooses the address. Read again on SIGHUP, where it is in the configuration file.",
    )
    shaping_file: Annotated[Path | None, _text(_or_none(_path))] = _setting(
        "",
        description="Rules in TOML of how much receiving sites get, over those of the program (`docs/howto/shaping.md`). Read again when it"
        " changes, and on SIGHUP.",
    )
    allow_private_networks: Boolean = _setting(
        "false", description="Let delivery and webhooks reach loopback and private addresses; for tests and inner networks."
    )
    dkim_selector: Annotated[str, _text(parse_hostname)] = _setting("sendry", description="Selector of new domains.")
    spf_include: Annotated[str, _text(lambda text: text.strip() and parse_hostname(text))] = _setting(
        "", description="Domains are asked for `v=spf1 include:VALUE ~all`. Empty: `v=spf1 a:HOSTNAME ~all`."
    )
    dashboard: Boolean = _setting("true", description="Serve pages for people. `false`: `/` only names `/docs`.")
    insecure_dashboard: Boolean = _setting(
        "false",
        description="Let people sign in over a connection that is neither encrypted nor on loopback: passwords cross the network in clear text.",
    )
    oidc_issuer: Annotated[str, _text(parse_issuer)] = _setting(
        "",
        description="Identity provider of OpenID Connect by which people may sign in to the dashboard, as `https://id.example.com`; written exactly as"
        " the provider writes its issuer. Empty: none.",
    )
    oidc_client_id: Word = _setting("", description="Client id that the provider has given to this installation.")
    oidc_client_secret_file: Annotated[Path | None, _text(_or_none(_path))] = _setting(
        "", description="File with the client secret. Empty: a public client, without one."
    )
    block_lists: Annotated[tuple[str, ...], _text(parse_names)] = _setting(
        "", description="DNS block lists that `sendryd check` asks about this server's addresses, as `zen.spamhaus.org`, comma-separated."
    )
    api_rate_limit: Annotated[Rate | None, _text(parse_rate)] = _setting(
        "100/10s", description="REST requests of one key; `off` lifts the limit."
    )
    key_quota: Annotated[Rate | None, _text(_or_none(parse_rate))] = _setting(
        "", description="Messages that one key may have accepted, as `1000/1d`. Empty: no quota."
    )
    account_quota: Annotated[Rate | None, _text(_or_none(parse_rate))] = _setting(
        "", description="The same for one account, over all its keys."
    )
    smtp_max_connections: Number = _setting("10000", description="Open SMTP connections; beyond it `421 4.7.0`.")
    smtp_max_connections_per_address: Number = _setting(
        "2000", description="The same for one client address; of IPv6, one network of 64 bits."
    )
    smtp_max_connections_unauthenticated_per_address: Number = _setting("100", description="The same for one client address, before AUTH.")
    max_keys: Number = _setting("1000", description="API keys of one account that are neither revoked nor expired.")
    max_domains: Number = _setting("1000", description="Sending domains of one account.")
    max_templates: Number = _setting("1000", description="Stored templates of one account.")
    retry_schedule: Schedule = _setting(
        "1m,5m,15m,30m,1h,2h,4h,8h", description="Delays between attempts, ±10 %; the last one is repeated."
    )
    max_queue_age: Duration = _setting("72h", description="Then a delivery is given up as expired.")
    webhook_retry_schedule: Schedule = _setting("5s,1m,5m,30m,2h,5h,10h", description="Delays between attempts of a webhook, ±10 %.")
    webhook_signature: Annotated[Literal["body", "timestamped"], _text(_word)] = _setting(
        "body",
        description="What `X-Sendry-Signature` is made of: the `body`, as most client libraries check it, or time and body (`timestamped`), for"
        " those who give that header to a helper that expects what `Sendry-Signature` always has.",
    )
    max_message_size: Size = _setting("40MiB", description="SIZE that EHLO offers, and the largest body of a request that sends.")
    max_recipients: Number = _setting("1000", description="Recipients of one SMTP transaction.")
    message_retention: Duration = _setting("30d", description="Messages and their content are kept this long once they are done.")
    event_retention: Duration = _setting("90d", description="Events are kept this long.")
    hide_client_address: Boolean = _setting("false", description="Leave the submitting client's address out of the `Received` field.")
    log_format: Annotated[Literal["text", "json", ""], _text(_word)] = _setting(
        "", description="`text` or `json`. Empty: `text` on a terminal, else `json`."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _text(_word)] = _setting(
        "info", description="`debug`, `info`, `warning` or `error`."
    )

    @property
    def cert_path(self) -> Path:
        """Where the certificate is."""
        return self.tls_cert or self.data_dir / "tls" / "cert.pem"

    @property
    def key_path(self) -> Path:
        """Where its key is."""
        return self.tls_key or self.data_dir / "tls" / "key.pem"


def load_settings(environment: Mapping[str, str] | None = None, config: Path | None = None) -> Settings:
    """Reads the environment and the file. Raises `SettingsError`."""
    environment = os.environ if environment is None else environment
    path = config or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    values = _read_file(path) if path else {}
    names = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE or variable.startswith(TEST_PREFIX):
            continue
        if variable not in names:
            raise SettingsError(f"{variable} is not a setting; docs/reference/settings.md lists them all")
        values[names[variable]] = value
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None
    _check_together(settings)
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"the configuration file {path} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise SettingsError(f"the configuration file {path} cannot be read: its lists or tables are too deep") from None
    except ValueError as error:  # also of octets that are not UTF-8, and of numbers of thousands of digits
        raise SettingsError(f"the configuration file {path} is not TOML: {error}") from None


def _explain(error: ValidationError, path: Path | None) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"{name} in {path} is not a setting; docs/reference/settings.md lists them all"
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "literal_error":
        reason = f"write {first['ctx']['expected']}"
    return f"{PREFIX}{name.upper()} is malformed: {reason}"


def read_oidc_secret(settings: Settings) -> str:
    """The client secret from its file; empty if none is named. Raises `SettingsError`."""
    path = settings.oidc_client_secret_file
    if path is None:
        return ""
    try:
        secret = path.read_text("ascii").strip()
    except OSError as error:
        raise SettingsError(f"{PREFIX}OIDC_CLIENT_SECRET_FILE {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{PREFIX}OIDC_CLIENT_SECRET_FILE {path} holds no text of ASCII letters") from None
    if not secret:
        raise SettingsError(f"{PREFIX}OIDC_CLIENT_SECRET_FILE {path} is empty: write the secret into it")
    return secret


def _check_together(settings: Settings) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingsError(f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY belong together: set both or neither")
    if settings.ca_file is not None:
        _check_ca_file(settings.ca_file)
    if settings.shaping_file is not None:
        _check_shaping_file(settings.shaping_file)
    if bool(settings.oidc_issuer) != bool(settings.oidc_client_id):
        raise SettingsError(f"{PREFIX}OIDC_ISSUER and {PREFIX}OIDC_CLIENT_ID belong together: set both or neither")
    if settings.oidc_client_secret_file is not None and not settings.oidc_issuer:
        raise SettingsError(f"{PREFIX}OIDC_CLIENT_SECRET_FILE is of no use without {PREFIX}OIDC_ISSUER: set both or neither")
    read_oidc_secret(settings)
    if not settings.smtp_listen:
        raise SettingsError(f"{PREFIX}SMTP_LISTEN is empty: give at least one address")


def _check_ca_file(path: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if not isinstance(error, ssl.SSLError) else "it has no certificates in PEM"
        raise SettingsError(f"{PREFIX}CA_FILE: {path} cannot be used: {reason}") from None


def _check_shaping_file(path: Path) -> None:
    from sendryd.delivery.rulefile import read_file

    try:
        read_file(path)
    except RulesInvalid as error:
        raise SettingsError(f"{PREFIX}SHAPING_FILE: {error}") from None
