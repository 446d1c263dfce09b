"""Accounts and their settings."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sendryd.model.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """The look of the unsubscribe page."""

    brand_color: str = "#111827"
    brand_logo: str | None = None  # URL
    unsubscribe_heading: str | None = None
    unsubscribe_message: str | None = None
    unsubscribe_redirect_url: str | None = None
    footer_copy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundForwarding:
    """The URL that receives inbound mail."""

    url: str | None = None
    secret: str | None = None


class AlertScope(StrEnum):
    """What alerts are about."""

    WRONG = "wrong"  # mail is lost, refused or stopped until it is mended
    EVERYTHING = "everything"  # whatever Home shows as needing somebody


class AlertRecipients(StrEnum):
    """Who gets alerts by mail."""

    BOTH = "both"  # owners and operators
    OWNERS = "owners"
    OPERATORS = "operators"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """Who gets alerts, and about what."""

    recipients: AlertRecipients = AlertRecipients.BOTH
    scope: AlertScope = AlertScope.WRONG
    url: str | None = None  # that gets a POST, too


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSmartHost:
    """The smart host for the mail of those domains of an account that name none."""

    url: str = ""  # without the password; empty: none
    password: str = field(default="", repr=False)
    may_be_private: bool = False  # an operator has named it


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """The settings of an account."""

    branding: Branding = field(default_factory=Branding)
    inbound: InboundForwarding = field(default_factory=InboundForwarding)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    smarthost: AccountSmartHost = field(default_factory=AccountSmartHost)
    default_region: str | None = None
    data_residency: str = "none"
    benchmark_opt_in: bool = False
    fetches_pictures: bool = True  # whether readers of a mail may have its pictures fetched from other servers
    viewers_read_content: bool = True  # whether viewers see the texts of mails, beside what became of them
    requires_factor: bool = False  # whether people without a second factor can do nothing but set one up


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account: the owner of keys, domains and messages."""

    id: AccountId
    name: str
    created_at: datetime
    settings: AccountSettings
