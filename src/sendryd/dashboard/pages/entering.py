"""Signing in and out, becoming the owner, taking up an invitation."""

from dataclasses import replace
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from sendryd.accounts.people import BadPersonField
from sendryd.accounts.signin import NewSession, SignInFailed, SignInThrottled
from sendryd.dashboard.app import Page
from sendryd.dashboard.elevation import ask_proof, check_proof
from sendryd.dashboard.visit import Visit
from sendryd.model.people import LinkPurpose
from sendryd.policy.password import WeakPassword
from sendryd.policy.rights import Right
from sendryd.runtime.passwords import PasswordsBusy
from sendryd.store.errors import Changed, NotFound

WRONG: Final = "The email or the password is wrong."
WRONG_CODE: Final = "The code is wrong, or was used already."
BUSY: Final = "Too many people are signing in just now: try again in a few seconds."
NOT_ENCRYPTED: Final = (
    "Nobody can sign in here, because this connection is not encrypted. Set SENDRYD_HTTP_TLS=true or put a proxy with TLS in front;"
    " SENDRYD_INSECURE_DASHBOARD=true allows it all the same."
)
# Heading and button of the page of a link.
LINK_WORDS: Final = {
    LinkPurpose.OWNER: ("Make yourself the owner", "Become the owner"),
    LinkPurpose.INVITATION: ("Join", "Join"),
    LinkPurpose.RESET: ("Choose a new password", "Set it and sign in"),
}
UNUSABLE: Final = (
    "It was used, has expired or was withdrawn. On the server, sendryd people owner-link prints a new one for an owner; whoever invited you"
    " can send a new invitation."
)


async def show_sign_in(visit: Visit) -> Response:
    """`GET /sign-in`."""
    if visit.visitor is not None:
        return visit.go(next_path(visit.query("next")))
    return sign_in_form(visit, email="", fault="", target=visit.query("next"), status=200)


async def sign_in(visit: Visit) -> Response:
    """`POST /sign-in`."""
    access, email, target = visit.needs.access, visit.fields.get("email", ""), visit.fields.get("next", "")
    if not access.may_sign_in(visit.request):
        return sign_in_form(visit, email=email, fault="", target=target, status=403)
    try:
        made = await visit.needs.signin.sign_in(
            email, visit.fields.get("password", ""), client=visit.client, is_known_device=access.has_signed_in_before(visit.request, email)
        )
    except SignInFailed:
        return sign_in_form(visit, email=email, fault=WRONG, target=target, status=401)
    except SignInThrottled as error:
        fault = f"{WRONG} Try again in {error.seconds:.0f} s."
        return sign_in_form(visit, email=email, fault=fault, target=target, status=429)
    except PasswordsBusy:
        return sign_in_form(visit, email=email, fault=BUSY, target=target, status=503)
    return enter(visit, made, next_path(target))


async def show_code(visit: Visit) -> Response:
    """`GET /sign-in/code`: the second step."""
    waiting = await visit.needs.signin.find_waiting(visit.needs.access.secret_of(visit.request))
    if waiting is None:
        return visit.go("/sign-in")
    return _code_form(visit, fault="", target=visit.query("next"), status=200, has_code=bool(waiting.person.totp_secret))


async def check_code(visit: Visit) -> Response:
    """`POST /sign-in/code`."""
    access, target = visit.needs.access, visit.fields.get("next", "")
    try:
        made = await visit.needs.signin.finish(access.secret_of(visit.request), visit.fields.get("code", ""), client=visit.client)
    except LookupError:
        return visit.go("/sign-in")
    except SignInFailed:
        return _code_form(visit, fault=WRONG_CODE, target=target, status=401)
    except SignInThrottled as error:
        return _code_form(visit, fault=f"{WRONG_CODE} Try again in {error.seconds:.0f} s.", target=target, status=429)
    return enter(visit, made, next_path(target))


async def sign_out(visit: Visit) -> Response:
    """`POST /sign-out`."""
    await visit.needs.signin.sign_out(visit.needs.access.secret_of(visit.request))
    answer = visit.go("/sign-in")
    visit.needs.access.sign_out(answer, visit.request)
    return answer


async def show_elevate(visit: Visit) -> Response:
    """`GET /elevate` asks again who the person is, before a page that gives away much."""
    return await ask_proof(replace(visit, fields={"next": next_path(visit.query("next"))}), path="/elevate", status=200)


async def elevate(visit: Visit) -> Response:
    """`POST /elevate`: for 15 minutes the session may do what needs a fresh proof."""
    fault, status = await check_proof(visit)
    target = next_path(visit.fields.get("next", ""))
    if fault:
        return await ask_proof(replace(visit, fields={"next": target}), path="/elevate", fault=fault, status=status)
    return visit.go(target)


async def show_welcome(visit: Visit) -> Response:
    """`GET /welcome/{link}` looks; it does not use the link: mail scanners open links, too."""
    return await _show_link(visit, LinkPurpose.OWNER, {}, status=200)


async def welcome(visit: Visit) -> Response:
    """`POST /welcome/{link}`: makes the owner."""
    return await _use_link(visit, LinkPurpose.OWNER)


async def show_join(visit: Visit) -> Response:
    """`GET /join/{link}`."""
    return await _show_link(visit, LinkPurpose.INVITATION, {}, status=200)


async def join(visit: Visit) -> Response:
    """`POST /join/{link}`: makes the member."""
    return await _use_link(visit, LinkPurpose.INVITATION)


async def show_reset(visit: Visit) -> Response:
    """`GET /reset/{link}`."""
    return await _show_link(visit, LinkPurpose.RESET, {}, status=200)


async def reset(visit: Visit) -> Response:
    """`POST /reset/{link}`: sets another password."""
    return await _use_link(visit, LinkPurpose.RESET)


async def _use_link(visit: Visit, purpose: LinkPurpose) -> Response:
    people, fields, link = visit.needs.people, visit.fields, visit.request.path_params["link"]
    name, password = fields.get("name", ""), fields.get("password", "")
    if not visit.needs.access.may_sign_in(visit.request):
        return sign_in_form(visit, email="", fault="", target="", status=403)
    try:
        if purpose is LinkPurpose.OWNER:
            made = await people.welcome(link, name=name, email=fields.get("email", ""), password=password, client=visit.client)
        elif purpose is LinkPurpose.RESET:
            made = await people.reset(link, password=password, client=visit.client)
        else:
            made = await people.join(link, name=name, password=password, client=visit.client)
    except (NotFound, Changed):
        return await _show_link(visit, purpose, {}, status=410)
    except BadPersonField as error:
        return await _show_link(visit, purpose, {error.field: str(error)}, status=422)
    except WeakPassword as error:
        return await _show_link(visit, purpose, {"password": str(error)}, status=422)
    except PasswordsBusy:
        return await _show_link(visit, purpose, {"password": BUSY}, status=503)
    return enter(visit, made, "/")


async def _show_link(visit: Visit, purpose: LinkPurpose, wrong: dict[str, str], *, status: int) -> Response:
    people, fields = visit.needs.people, visit.fields
    link = await people.find_link(visit.request.path_params["link"], purpose)
    heading, button = LINK_WORDS[purpose]
    text, username = UNUSABLE, ""
    if link is not None and purpose is LinkPurpose.OWNER:
        text = "You will own this installation: domains, keys, people."
    elif link is not None and purpose is LinkPurpose.RESET:
        username = (await people.person_of(link)).email
        text = f"For {username}. You are signed out in all other browsers."
    elif link is not None:
        invited = await people.invitation_of(link)
        username = invited.email
        text = f"{username} is invited as {invited.role.value}."
    values = {
        "me": None,  # the page is for somebody else, who may open it in a browser that a person is signed in with
        "usable": link is not None,
        "heading": heading,
        "text": text,
        "fault": "",
        "wrong": {"name": "", "email": "", "password": "", **wrong},
        "name": fields.get("name", ""),
        "email": fields.get("email", ""),
        "username": username,
        "asks_name": purpose is not LinkPurpose.RESET,
        "asks_email": purpose is LinkPurpose.OWNER,
        "button": button,
    }
    return visit.show("welcome.html", "welcome", values, status=status if link is not None or status >= 400 else 410)


def sign_in_form(visit: Visit, *, email: str, fault: str, target: str, status: int) -> Response:
    """The page that asks for email and password, or a passkey."""
    access = visit.needs.access
    may = access.may_sign_in(visit.request)
    values = {
        "email": email,
        "fault": fault,
        "next": target,
        "refused": "" if may else NOT_ENCRYPTED,
        "plain": may and not access.is_encrypted(visit.request),
        "takes_passkeys": may and visit.takes_passkeys,
        "provider": visit.needs.provider.name if visit.needs.provider and visit.takes_provider else "",
    }
    return visit.show("sign_in.html", "sign-in", values, status=status)


def _code_form(visit: Visit, *, fault: str, target: str, status: int, has_code: bool = True) -> Response:
    """The second step; without an app only a passkey is one."""
    origin = "" if visit.takes_passkeys else visit.needs.passkeys.origin
    values = {"fault": fault, "next": target, "has_code": has_code, "takes_passkeys": visit.takes_passkeys, "passkey_origin": origin}
    return visit.show("sign_in_code.html", "sign-in", values, status=status)


def enter(visit: Visit, made: NewSession, target: str) -> Response:
    """Gives the browser its session and sends it on, to the second step if there is one."""
    query = "" if target == "/" else f"?next={quote(target, safe='')}"
    answer = visit.go(target if made.session.is_complete else f"/sign-in/code{query}")
    visit.needs.access.sign_in(answer, visit.request, made)
    return answer


def next_path(path: str) -> str:
    """Where to go after signing in: a path of our own, and nothing that a browser takes for another host."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


PAGES: Final = (
    Page(path="/sign-in", get=show_sign_in, post=sign_in, needs=None),
    Page(path="/sign-in/code", get=show_code, post=check_code, needs=None),
    Page(path="/sign-out", post=sign_out, needs=None),
    Page(path="/elevate", get=show_elevate, post=elevate, needs_to_change=Right.SEE),
    Page(path="/welcome/{link}", get=show_welcome, post=welcome, needs=None),
    Page(path="/join/{link}", get=show_join, post=join, needs=None),
    Page(path="/reset/{link}", get=show_reset, post=reset, needs=None),
)
