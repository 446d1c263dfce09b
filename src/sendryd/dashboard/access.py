"""Who makes a request, and whether the request may change something.

A cookie names the session. A change needs a request that the browser says one of our pages made, and the session's token in the form. A `Host`
that is not ours is refused, so that a name that was rebound to a loopback address reaches nothing.
Standards: RFC 6265 (cookies), Fetch Metadata.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from sendryd.accounts.attention import View
from sendryd.accounts.audit import Client
from sendryd.accounts.signin import MAX_SESSION, NewSession, SignIn
from sendryd.policy.devicemark import is_device_mark, make_device_mark
from sendryd.policy.rights import Right, has_right
from sendryd.policy.weborigin import origin_of_page
from sendryd.store.base import SignedIn
from sendryd.web.csrf import is_token
from sendryd.web.forms import is_from_our_page

SECURE_COOKIE: Final = "__Host-sendryd"
PLAIN_COOKIE: Final = "sendryd"  # on loopback alone, where browsers take no `Secure`
DEVICE_COOKIE: Final = "sendryd-device"  # signed: a person was signed in with this browser before
FORM_COOKIE: Final = "sendryd-form"  # stands for a session in forms before signing in
FORM_FIELD: Final = "token"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person in one browser."""

    secret: str  # the cookie's value
    signed_in: SignedIn

    @property
    def view(self) -> View:
        """What the person sees of the installation's state."""
        return View(account_id=self.signed_in.membership.account_id, sees_everything=self.may(Right.OPERATE))

    def may(self, right: Right) -> bool:
        """Whether the person may do it."""
        return has_right(self.signed_in.membership.role, right, is_operator=self.signed_in.person.is_operator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where people reach the dashboard."""

    public_url: str
    content_url: str = ""  # the origin of foreign HTML; empty: our own
    hosts: frozenset[str]  # other names and addresses, without ports, that lead here
    allows_plain_text: bool  # `SENDRYD_INSECURE_DASHBOARD`


class Access:
    """Finds the visitor of a request."""

    def __init__(self, signin: SignIn, site: Site, secret: bytes) -> None:
        self._signin = signin
        self._site = site
        self._secret = secret  # of the installation

    def is_ours(self, request: Request) -> bool:
        """Whether the `Host` is one of our names."""
        host = _host_of(request.headers.get("host", ""))
        if host == (urlsplit(self._site.public_url).hostname or "") or host in self._site.hosts or host == "localhost":
            return True
        return _is_loopback(host)

    def may_show_foreign(self, request: Request) -> bool:
        """Whether foreign HTML is served at the address that was asked. Where it has an origin of its own, the public one has none of it."""
        if not self._site.content_url:
            return self.is_ours(request)
        return self._is_at_content_origin(request) or (self.is_ours(request) and not self.is_public(request))

    def foreign_base(self, request: Request) -> str:
        """The origin that a page frames foreign HTML from; empty: its own. Pages at other addresses than the public one frame from their own."""
        return self._site.content_url if self.is_public(request) else ""

    def framing_origin(self, request: Request) -> str:
        """The source of a policy that names the pages which may frame the foreign HTML of this request."""
        is_apart = bool(self._site.content_url) and self._is_at_content_origin(request)
        return origin_of_page(self._site.public_url) if is_apart else "'self'"

    def _is_at_content_origin(self, request: Request) -> bool:
        content = urlsplit(self._site.content_url)
        return request.headers.get("host", "").lower() in {content.netloc.lower(), urlsplit(origin_of_page(self._site.content_url)).netloc}

    def is_encrypted(self, request: Request) -> bool:
        """Whether the browser speaks TLS with us, or with the proxy of the public address or of foreign HTML."""
        if request.url.scheme == "https":
            return True
        public, content = urlsplit(self._site.public_url), urlsplit(self._site.content_url)
        if content.scheme == "https" and self._is_at_content_origin(request):
            return True
        return public.scheme == "https" and _host_of(request.headers.get("host", "")) == public.hostname

    def origin(self, request: Request) -> str:
        """Our origin, as the browser names it."""
        return f"{'https' if self.is_encrypted(request) else 'http'}://{request.headers.get('host', '')}"

    def is_public(self, request: Request) -> bool:
        """Whether the browser uses the public address."""
        return self.origin(request).lower() == origin_of_page(self._site.public_url)

    def may_sign_in(self, request: Request) -> bool:
        """Whether a password may be sent: encrypted, on loopback, or where the settings say so."""
        return self.is_encrypted(request) or _is_loopback(_host_of(request.headers.get("host", ""))) or self._site.allows_plain_text

    async def find(self, request: Request) -> Visitor | None:
        """The signed-in person; None without a session, and while the second factor is still to come."""
        secret = self.secret_of(request)
        found = await self._signin.find_session(secret) if secret else None
        if found is None or not found.session.is_complete:
            return None
        return Visitor(secret, found)

    def secret_of(self, request: Request) -> str:
        """The session's cookie; empty without one."""
        return request.cookies.get(self._cookie(request), "")

    def has_signed_in_before(self, request: Request, email: str) -> bool:
        """Whether the person of an email was signed in with this browser before."""
        return is_device_mark(self._secret, email, request.cookies.get(DEVICE_COOKIE, ""))

    def made_by_our_page(self, request: Request, secret: str, fields: Mapping[str, str]) -> bool:
        """Whether a change comes from one of our own forms."""
        if request.headers.get("sec-fetch-site") is None and "origin" not in request.headers:
            return False
        return is_from_our_page(request.headers, self.origin(request)) and is_token(secret, fields.get(FORM_FIELD, ""))

    def sign_in(self, response: Response, request: Request, made: NewSession) -> None:
        """Gives the browser its session."""
        secure, age = self.is_encrypted(request), int(MAX_SESSION.total_seconds())
        response.set_cookie(self._cookie(request), made.secret, max_age=age, path="/", secure=secure, httponly=True, samesite="lax")
        if made.session.is_complete:
            mark = make_device_mark(self._secret, made.email)
            response.set_cookie(DEVICE_COOKIE, mark, max_age=age, path="/sign-in", secure=secure, httponly=True, samesite="lax")

    def sign_out(self, response: Response, request: Request) -> None:
        """Takes the session from the browser."""
        response.delete_cookie(self._cookie(request), path="/", secure=self.is_encrypted(request), httponly=True, samesite="lax")

    def _cookie(self, request: Request) -> str:
        return SECURE_COOKIE if self.is_encrypted(request) else PLAIN_COOKIE


def client_of(request: Request) -> Client:
    """Where a request comes from."""
    return Client(address=request.client.host if request.client else "", agent=request.headers.get("user-agent", ""))


def _host_of(header: str) -> str:
    """The host of a `Host` field, without port and brackets, in lower case; empty for what is none."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
