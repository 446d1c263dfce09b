"""One request to the dashboard, as pages see it: who asks, what was sent, and how to answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sendryd.accounts.api_keys import ApiKeys
from sendryd.accounts.attention import Attention
from sendryd.accounts.audit import Audit, By, Client
from sendryd.accounts.domain_checks import DomainChecks
from sendryd.accounts.domains import Domains
from sendryd.accounts.egress import EgressAddresses
from sendryd.accounts.invitations import Invitations
from sendryd.accounts.passkeys import Passkeys
from sendryd.accounts.people import People
from sendryd.accounts.provider import ProviderSignIn
from sendryd.accounts.signin import SignIn
from sendryd.accounts.smtp_sessions import SmtpSessions
from sendryd.accounts.suppressions import Suppressions
from sendryd.accounts.templates import Templates
from sendryd.accounts.webhooks import Webhooks
from sendryd.dashboard.access import Access, Site, Visitor, client_of
from sendryd.dashboard.counts import Count, Counts
from sendryd.dashboard.glances import Glances
from sendryd.dashboard.look import LOOK_COOKIE, read_look
from sendryd.dashboard.navigation import places
from sendryd.dashboard.previews import Previews
from sendryd.dashboard.remotepictures import RemotePictures
from sendryd.dashboard.rendering import Pages
from sendryd.dashboard.snippets import Place
from sendryd.health import Watch
from sendryd.intake.accept import Intake
from sendryd.intake.notices import Notices
from sendryd.model.ids import AccountId
from sendryd.policy.rights import Right
from sendryd.policy.shaping.rules import Rules
from sendryd.runtime.answers import Answers
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import Fences
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import Rand
from sendryd.store.base import DialogueStore, Store
from sendryd.web.csrf import make_token
from sendryd.web.foreign import ForeignFramer
from sendryd.web.headers import ContentPolicy, page_headers

PAGE_POLICY: Final = ContentPolicy(
    script="'self'", style="'self'", image="'self' data:", font="'self'", connect="'self'", frame="'self'", form_action="'self'"
)
MASK_LENGTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSetting:
    """A setting as the program runs with it. Secrets are hidden."""

    name: str  # of the variable
    value: str
    source: str  # where the value is from, in words
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What pages need of the program."""

    store: Store
    dialogues: DialogueStore
    smtp_sessions: SmtpSessions
    people: People
    signin: SignIn
    passkeys: Passkeys
    provider: ProviderSignIn | None  # of OpenID Connect
    audit: Audit
    invitations: Invitations
    keys: ApiKeys
    domains: Domains
    checks: DomainChecks  # the latest findings of DNS
    lists: Suppressions
    webhooks: Webhooks
    webhook_tries: int  # of a notification, before it is given up
    templates: Templates
    intake: Intake
    fences: Fences
    framer: ForeignFramer  # for the HTML of mails
    pictures: RemotePictures  # in the HTML of mails
    previews: Previews  # of templates
    glances: Glances  # at the contents of mails
    answers: Answers
    access: Access
    site: Site
    pages: Pages
    clock: Clock
    ids: IdSource
    rand: Rand
    secret: bytes  # of the installation; signs links
    account_id: AccountId
    hostname: str
    smtp: str  # host:port of the submission listener
    http: str  # base of the HTTP listener
    cert_path: Path
    queue_lifetime: timedelta
    watch: Watch
    notices: Notices
    attention: Attention
    counts: Counts
    paths: frozenset[str]  # of all pages
    rules: Callable[[], Rules]  # of shaping, as they are now
    egress: EgressAddresses
    settings: Callable[[], list[EffectiveSetting]]


@dataclass(frozen=True, slots=True)
class Visit:
    """A request. `visitor` is None if the person is not signed in, which some pages allow."""

    needs: Needs
    request: Request
    visitor: Visitor | None
    form_secret: str  # the session's, or that of a browser before signing in
    fields: Mapping[str, str] = field(default_factory=dict)  # of a posted form
    live: str = ""  # the address of the stream that keeps the page up to date; empty: it is not live
    counts: Mapping[str, Count] = field(default_factory=dict)  # beside the places

    @property
    def me(self) -> Visitor:
        """The signed-in person, on pages that need one."""
        if self.visitor is None:
            raise LookupError("this page needs somebody signed in")
        return self.visitor

    @property
    def account_id(self) -> AccountId:
        """The account that is shown."""
        return self.me.signed_in.membership.account_id

    @property
    def is_elevated(self) -> bool:
        """Whether the person has proved within the last 15 minutes who they are."""
        return self.needs.signin.is_elevated(self.me.signed_in)

    def prove_first(self, path: str) -> Response:
        """Asks for the password, then goes on to a path of ours."""
        return self.go(f"/elevate?next={quote(path, safe='')}")

    @property
    def takes_passkeys(self) -> bool:
        """Whether browsers use passkeys at the address that was opened: they are bound to the public one."""
        return self.needs.passkeys.origin == self.needs.access.origin(self.request)

    @property
    def takes_provider(self) -> bool:
        """Whether people sign in by an identity provider here: it sends them back to the public address."""
        access = self.needs.access
        return self.needs.provider is not None and access.may_sign_in(self.request) and access.is_public(self.request)

    @property
    def client(self) -> Client:
        """Where the request comes from."""
        return client_of(self.request)

    def place(self, domain: str, recipient: str) -> Place:
        """Where lines to paste send mail, from a verified domain if there is one."""
        needs = self.needs
        return Place(
            http=needs.http,
            smtp=needs.smtp,
            cert=str(needs.cert_path),
            sender=f"hello@{domain or 'example.com'}",
            recipient=recipient,
        )

    @property
    def author(self) -> By:
        """Who makes a change, as the audit names them."""
        person = self.me.signed_in.person
        return By(account_id=self.account_id, actor=person.email, client=self.client, name=person.name)

    def query(self, name: str) -> str:
        """A parameter of the address; empty if it is not there."""
        return self.request.query_params.get(name, "")

    def show(self, template: str, page: str, values: Mapping[str, object], *, status: int = 200) -> Response:
        """A page. `page` is its name in `data-page`."""
        visitor = self.visitor
        frame = {
            **self._frame(self.token()),
            "page": page,
            "look": read_look(self.request.cookies.get(LOOK_COOKIE, "")),
            "me": _me(visitor) if visitor else None,
            "places": places(page, self.needs.paths, self.counts) if visitor else (),
            "paths": tuple(self.needs.paths),
            "q": "",
            "live": self.live if status == 200 else "",
        }
        sent = headers(self.needs.access.foreign_base(self.request))
        return HTMLResponse(self.needs.pages.render(template, {**frame, **values}), status, headers=sent)

    def render_part(self, template: str, values: Mapping[str, object], token: str) -> str:
        """A part of a page alone, with this token in its forms."""
        return self.needs.pages.render(template, {**self._frame(token), **values})

    def token(self) -> str:
        """A token for forms, with a mask of its own."""
        return make_token(self.form_secret, self.needs.rand.secret(MASK_LENGTH))

    def _frame(self, token: str) -> dict[str, object]:
        visitor = self.visitor
        may = {right.value: visitor is not None and visitor.may(right) for right in Right}
        return {"path": self.request.url.path, "token": token, "may": may}

    @staticmethod
    def go(path: str) -> Response:
        """Sends the browser on after a change."""
        return RedirectResponse(path, 303, headers=headers())


def headers(foreign: str = "") -> dict[str, str]:
    """Of every page. The referrer stays within our own pages, which the check of the origin needs. `foreign` is the origin of framed HTML, if it
    has one of its own.
    """
    policy = replace(PAGE_POLICY, frame=f"'self' {foreign}") if foreign else PAGE_POLICY
    return {**page_headers(policy), "Referrer-Policy": "same-origin"}


@dataclass(frozen=True, slots=True)
class Me:
    """The signed-in person in the frame of each page."""

    name: str
    email: str
    initials: str
    role: str


def _me(visitor: Visitor) -> Me:
    person, role = visitor.signed_in.person, visitor.signed_in.membership.role
    words = person.name.split()
    initials = "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()
    return Me(person.name, person.email, initials[:2], role.value)
