"""Signing in by an identity provider: the way there, and the way back.

Both are GETs: a form that leads to another origin is against the policy of our pages. The way back comes from another site, for which browsers send no
strict cookie; a cookie of its own, for these two paths alone, says which browser has left.
"""

from typing import Final
from urllib.parse import quote, unquote

from starlette.responses import RedirectResponse, Response

from sendryd.accounts.provider import LIFETIME, NotInvited, Return
from sendryd.accounts.signin import SignInFailed, SignInThrottled, hash_secret
from sendryd.dashboard.app import Page
from sendryd.dashboard.pages.entering import enter, next_path, sign_in_form
from sendryd.dashboard.visit import Visit, headers
from sendryd.runtime.log import get_logger
from sendryd.runtime.oidc import ProviderFailed

PATH: Final = "/sign-in/oidc"
COOKIE: Final = "sendryd-oidc"
SECRET_LENGTH: Final = 43  # letters and digits: 256 bits
MAX_TARGET: Final = 1_000  # characters of a path to go on to
MAX_CODE: Final = 4_096  # characters of what comes back: codes have some hundred
FAILED: Final = (
    "The identity provider did not answer as it should: sign in with your password, or try again in a minute. The log has the reason."
)
REFUSED: Final = "The identity provider did not let you in: start again from here."
WRONG: Final = (
    "This sign-in does not count: it was not begun in this browser, took over ten minutes, was used before, or its email is not verified."
)

log = get_logger("oidc")


async def leave(visit: Visit) -> Response:
    """`GET /sign-in/oidc` sends the browser to the provider."""
    provider, target = visit.needs.provider, next_path(visit.query("next"))
    if provider is None or not visit.takes_provider:
        return visit.go("/sign-in")
    secret = visit.needs.rand.secret(SECRET_LENGTH)
    try:
        url = await provider.begin(secret, is_again=visit.visitor is not None)
    except ProviderFailed as error:
        log.error("provider_failed", reason=str(error))
        return sign_in_form(visit, email="", fault=FAILED, target=target, status=502)
    answer = RedirectResponse(url, 303, headers=headers())
    kept = f"{secret}.{quote(target if len(target) <= MAX_TARGET else '/', safe='')}"
    secure, age = visit.needs.access.is_encrypted(visit.request), int(LIFETIME.total_seconds())
    answer.set_cookie(COOKIE, kept, max_age=age, path=PATH, secure=secure, httponly=True, samesite="lax")
    return answer


async def come_back(visit: Visit) -> Response:
    """`GET /sign-in/oidc/callback`: the browser brings a code."""
    provider = visit.needs.provider
    if provider is None or not visit.takes_provider:
        return visit.go("/sign-in")
    secret, _, kept = visit.request.cookies.get(COOKIE, "").partition(".")
    answer = await _finish(visit, secret, next_path(unquote(kept)))
    answer.delete_cookie(COOKIE, path=PATH, secure=visit.needs.access.is_encrypted(visit.request), httponly=True, samesite="lax")
    return answer


async def _finish(visit: Visit, secret: str, target: str) -> Response:
    provider, code, former = visit.needs.provider, visit.query("code"), visit.needs.access.secret_of(visit.request)
    if provider is None or not secret or not code or len(code) > MAX_CODE:
        log.info("provider_sign_in_refused", address=visit.client.address, reason=visit.query("error")[:100] or "no code, or no cookie")
        return _again(visit, REFUSED if secret else WRONG, target, 401)
    back = Return(state=visit.query("state"), code=code, issuer=visit.request.query_params.get("iss"))
    try:
        made = await provider.finish(secret, back, client=visit.client, replaces=hash_secret(former) if former else None)
    except SignInFailed:
        return _again(visit, WRONG, target, 401)
    except SignInThrottled as error:
        return _again(visit, f"{WRONG} Wait {error.seconds:.0f} s.", target, 429)
    except NotInvited as error:
        return _again(visit, f"{error.email} is not in a team here: ask an admin to invite this address.", target, 403)
    except ProviderFailed as error:
        log.error("provider_failed", reason=str(error))
        return _again(visit, FAILED, target, 502)
    return enter(visit, made, target)


def _again(visit: Visit, fault: str, target: str, status: int) -> Response:
    return sign_in_form(visit, email="", fault=fault, target=target, status=status)


PAGES: Final = (
    Page(path=PATH, get=leave, needs=None),
    Page(path=f"{PATH}/callback", get=come_back, needs=None),
)
