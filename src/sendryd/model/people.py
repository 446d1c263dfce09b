"""People who use the dashboard: identity, roles, sessions, one-time links, and the audit of their changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sendryd.model.actor import Role
from sendryd.model.ids import AccountId, AuditId, MembershipId, PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecord:
    """A person, who may belong to several accounts."""

    id: PersonId
    email: str  # as `policy.password.canonical_email` makes it
    name: str
    password_hash: str  # argon2id in its encoded form; empty: signs in by a link or a provider alone
    is_operator: bool  # sees Health, settings and every account's queue
    created_at: datetime
    totp_secret: str = ""  # base 32, encrypted with the installation's secret; empty: no second factor
    totp_step: int = 0  # the last step whose code was used: a code works once (RFC 6238 §5.2)
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A person's role in an account, or an invitation to it."""

    id: MembershipId
    account_id: AccountId
    email: str
    role: Role
    invited_at: datetime
    person_id: PersonId | None = None  # None: invited, and not there yet
    invited_by: str = ""  # how the audit names who did it
    joined_at: datetime | None = None
    name: str = ""  # the person's, where it is read together with them
    seen_at: datetime | None = None  # when the person was last seen, likewise
    has_factor: bool = False  # whether signing in takes a second step, likewise
    has_password: bool = True  # False: signs in by an identity provider, likewise
    is_disabled: bool = False  # whether the person cannot sign in, likewise


class SignInMethod(StrEnum):
    """How a session began."""

    PASSWORD = "password"  # noqa: S105 - the word, and no secret
    PASSKEY = "passkey"  # two factors in one: the device, and what unlocks it
    PROVIDER = "provider"  # of OpenID Connect


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser in which a person is signed in."""

    id_hash: bytes  # SHA-256 of the cookie's value
    person_id: PersonId
    account_id: AccountId  # used last
    created_at: datetime
    seen_at: datetime
    address: str
    agent: str  # User-Agent, shortened
    is_complete: bool = True  # False: the password was right, the second factor is still to come
    elevated_until: datetime | None = None
    method: SignInMethod = SignInMethod.PASSWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A WebAuthn credential by which a person signs in."""

    credential_id: bytes
    person_id: PersonId
    public_key: bytes  # in the form of COSE (RFC 9052 §7)
    sign_count: int  # that the authenticator told last; 0: it does not count
    name: str
    created_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentChallenge:
    """A challenge that was answered: it counts no second time."""

    hash: bytes  # SHA-256
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyUse:
    """A passkey that has answered a challenge."""

    credential_id: bytes
    sign_count: int  # that the authenticator told now
    used_at: datetime


class LinkPurpose(StrEnum):
    """The purpose of a one-time link."""

    OWNER = "owner"
    INVITATION = "invitation"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A one-time link. Its bearer may use it once, for its purpose."""

    token_hash: bytes  # SHA-256
    purpose: LinkPurpose
    account_id: AccountId
    created_at: datetime
    expires_at: datetime
    membership_id: MembershipId | None = None  # of an invitation
    person_id: PersonId | None = None  # of a reset
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who changed what, when, from where. Written with the change, never edited."""

    id: AuditId
    account_id: AccountId
    actor: str  # an email, `key_…`, `operator` or `system`
    address: str  # the client's; empty at the command line
    action: str  # `domain.added`
    target: str  # the public id or name of what was changed
    created_at: datetime
    before: Mapping[str, object] = field(default_factory=dict)  # without secrets
    after: Mapping[str, object] = field(default_factory=dict)
