"""Me: name, password, second factor, sessions, and how the dashboard looks in this browser."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from sendryd.accounts.factors import WrongCode
from sendryd.accounts.people import BadPersonField
from sendryd.accounts.signin import SignInFailed, SignInThrottled
from sendryd.dashboard.app import Page
from sendryd.dashboard.look import DENSITIES, KEYS, LOOK_AGE, LOOK_COOKIE, THEMES, make_look, read_look
from sendryd.dashboard.pages.passkeys import passkeys_on_me
from sendryd.dashboard.qr import draw_qr
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.people import SignInMethod
from sendryd.policy.password import WeakPassword
from sendryd.policy.rights import Right
from sendryd.policy.useragent import name_agent
from sendryd.runtime.passwords import PasswordsBusy
from sendryd.store.errors import Changed, NotAllowed

BUSY: Final = "Too many passwords are being checked just now: try again in a few seconds."
NOT_AS_READ: Final = "This was changed elsewhere in the meantime: load the page again."
SAID: Final = {
    "name": "Your name is changed.",
    "password": "Your password is changed. Your other sessions have ended.",
    "session": "The session has ended.",
    "others": "Your other sessions have ended.",
    "factor-off": "The second factor is off.",
    "passkey": "The passkey is added: with it you sign in without a password.",
    "passkey-removed": "The passkey is removed here. Delete it on your device, too: it is of no use any more.",
    "look": "Kept in this browser.",
}


@dataclass(frozen=True, slots=True)
class SessionView:
    """A browser that the person is signed in with."""

    id: str
    agent: str
    address: str
    since: Moment
    seen: Moment
    is_this: bool
    is_by_passkey: bool


async def show(visit: Visit) -> Response:
    """`GET /me`."""
    return await _show(visit, {}, status=200)


async def set_name(visit: Visit) -> Response:
    """`POST /me/name`."""
    try:
        await visit.needs.people.rename(visit.me.signed_in, visit.fields.get("name", ""), client=visit.client)
    except BadPersonField as error:
        return await _show(visit, {"name": str(error)}, status=422)
    except Changed:
        return await _show(visit, {"name": NOT_AS_READ}, status=409)
    return visit.go("/me?said=name")


async def set_password(visit: Visit) -> Response:
    """`POST /me/password`."""
    try:
        await visit.needs.signin.change_password(
            visit.me.signed_in, visit.fields.get("old", ""), visit.fields.get("new", ""), client=visit.client
        )
    except WeakPassword as error:
        return await _show(visit, {"new": str(error)}, status=422)
    except Changed:
        return await _show(visit, {"old": NOT_AS_READ}, status=409)
    except (SignInFailed, SignInThrottled, PasswordsBusy) as error:
        return await _show(visit, {"old": _why(error)}, status=_status(error))
    return visit.go("/me?said=password")


async def end_session(visit: Visit) -> Response:
    """`POST /me/sessions/end`: one of the person's own."""
    try:
        id_hash = bytes.fromhex(visit.fields.get("session", ""))
    except ValueError:
        return visit.go("/me")
    await visit.needs.signin.end_one(visit.me.signed_in, id_hash, client=visit.client)
    return visit.go("/me?said=session")


async def end_others(visit: Visit) -> Response:
    """`POST /me/sessions/end-others`."""
    await visit.needs.signin.end_others(visit.me.signed_in, client=visit.client)
    return visit.go("/me?said=others")


async def show_factor(visit: Visit) -> Response:
    """`GET /me/factor`: a secret for an app, which nothing stores yet."""
    if visit.me.signed_in.person.totp_secret:
        return visit.go("/me")
    return _offer(visit, visit.needs.signin.factors.propose(), "", status=200)


async def turn_on(visit: Visit) -> Response:
    """`POST /me/factor`: the app shows a right code; the recovery codes are shown once."""
    secret, signed_in = visit.fields.get("secret", ""), visit.me.signed_in
    if signed_in.person.totp_secret:
        return visit.go("/me")
    try:
        codes = await visit.needs.signin.factors.turn_on(signed_in, secret, visit.fields.get("code", ""), client=visit.client)
    except WrongCode:
        fault = "This is not the code that the app shows now. Look whether the phone's clock is right."
        return _offer(visit, secret, fault, status=422)
    except ValueError:  # a secret that no page of ours has offered
        return visit.go("/me/factor")
    except Changed:
        return _offer(visit, secret, NOT_AS_READ, status=409)
    return visit.show("me_codes.html", "me", {"codes": codes, "heading": "The second factor is on"})


async def turn_off(visit: Visit) -> Response:
    """`POST /me/factor/off` asks for the password."""
    try:
        await visit.needs.signin.elevate(visit.me.signed_in, visit.fields.get("password", ""), client=visit.client)
        await visit.needs.signin.factors.turn_off(visit.me.signed_in, client=visit.client)
    except Changed:
        return await _show(visit, {"factor": NOT_AS_READ}, status=409)
    except NotAllowed:
        return await _show(visit, {"factor": "Your account requires a second factor."}, status=403)
    except (SignInFailed, SignInThrottled, PasswordsBusy) as error:
        return await _show(visit, {"factor": _why(error)}, status=_status(error))
    return visit.go("/me?said=factor-off")


async def renew_codes(visit: Visit) -> Response:
    """`POST /me/factor/codes` asks for the password."""
    signed_in = visit.me.signed_in
    if not signed_in.person.totp_secret:
        return visit.go("/me")
    try:
        await visit.needs.signin.elevate(signed_in, visit.fields.get("password", ""), client=visit.client)
    except (SignInFailed, SignInThrottled, PasswordsBusy) as error:
        return await _show(visit, {"codes": _why(error)}, status=_status(error))
    codes = await visit.needs.signin.factors.renew_recovery_codes(signed_in, client=visit.client)
    return visit.show("me_codes.html", "me", {"codes": codes, "heading": "New recovery codes"})


async def set_look(visit: Visit) -> Response:
    """`POST /me/look`."""
    answer = visit.go("/me?said=look")
    secure = visit.needs.access.is_encrypted(visit.request)
    look = make_look(visit.fields).to_cookie()
    answer.set_cookie(LOOK_COOKIE, look, max_age=LOOK_AGE, path="/", secure=secure, httponly=True, samesite="lax")
    return answer


def _offer(visit: Visit, secret: str, fault: str, *, status: int) -> Response:
    factors, person = visit.needs.signin.factors, visit.me.signed_in.person
    try:
        uri = factors.uri(secret, person.email, f"sendryd {visit.needs.hostname}")
        code = draw_qr(uri)
    except ValueError:
        return visit.go("/me/factor")
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    values = {"secret": secret, "grouped": grouped, "qr": code, "fault": fault, "is_required": visit.me.signed_in.must_add_factor}
    return visit.show("me_factor.html", "me", values, status=status)


async def _show(visit: Visit, wrong: Mapping[str, str], *, status: int) -> Response:
    signed_in, signin = visit.me.signed_in, visit.needs.signin
    person = signed_in.person
    sessions = [
        SessionView(
            each.id_hash.hex(),
            name_agent(each.agent),
            each.address,
            moment_of(each.created_at),
            moment_of(each.seen_at),
            each.id_hash == signed_in.session.id_hash,
            each.method is SignInMethod.PASSKEY,
        )
        for each in await signin.list_sessions(signed_in)
    ]
    values = {
        "name": visit.fields.get("name", person.name),
        "email": person.email,
        "role": signed_in.membership.role.value,
        "sessions": sessions,
        "has_factor": bool(person.totp_secret),
        "has_password": bool(person.password_hash),
        **await passkeys_on_me(visit),
        "codes_left": await signin.factors.count_recovery_codes(person.id) if person.totp_secret else 0,
        "chosen": read_look(visit.request.cookies.get(LOOK_COOKIE, "")),
        "themes": THEMES,
        "densities": DENSITIES,
        "key_choices": KEYS,
        "said": SAID.get(visit.query("said"), "") if status == 200 else "",
        "wrong": {"name": "", "old": "", "new": "", "factor": "", "codes": "", **wrong},
    }
    return visit.show("me.html", "me", values, status=status)


def _why(error: Exception) -> str:
    if isinstance(error, SignInThrottled):
        return f"The password is wrong. Try again in {error.seconds:.0f} s."
    return BUSY if isinstance(error, PasswordsBusy) else "The password is wrong."


def _status(error: Exception) -> int:
    return 429 if isinstance(error, SignInThrottled) else 503 if isinstance(error, PasswordsBusy) else 422


PAGES: Final = (
    Page(path="/me", get=show),
    Page(path="/me/name", post=set_name, needs_to_change=Right.SEE),
    Page(path="/me/password", post=set_password, needs_to_change=Right.SEE),
    Page(path="/me/sessions/end", post=end_session, needs_to_change=Right.SEE),
    Page(path="/me/sessions/end-others", post=end_others, needs_to_change=Right.SEE),
    Page(path="/me/factor", get=show_factor, post=turn_on, needs_to_change=Right.SEE),
    Page(path="/me/factor/off", post=turn_off, needs_to_change=Right.SEE),
    Page(path="/me/factor/codes", post=renew_codes, needs_to_change=Right.SEE),
    Page(path="/me/look", post=set_look, needs_to_change=Right.SEE),
)
