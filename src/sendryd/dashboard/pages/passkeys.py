"""Passkeys: adding and removing one's own, signing in by one, and the options that the browser asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import JSONResponse, Response

from sendryd.accounts.passkeys import Options
from sendryd.accounts.people import BadPersonField
from sendryd.accounts.signin import SignInFailed, SignInThrottled, hash_secret
from sendryd.dashboard.app import Page, always
from sendryd.dashboard.pages.entering import enter, next_path, sign_in_form
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit, headers
from sendryd.policy.base64url import from_base64url, to_base64url
from sendryd.policy.rights import Right
from sendryd.policy.useragent import name_agent
from sendryd.runtime.passkeys import PasskeyRefused
from sendryd.store.errors import Conflict, LimitReached, NotFound

NOT_TAKEN: Final = "The passkey was not taken: load the page again, and repeat it within five minutes."
KNOWN: Final = "This passkey is known here already."
TOO_MANY: Final = "You have as many passkeys as a person may have: remove one that you do not use."
WRONG: Final = "This passkey does not let you in: it was removed here, or it took too long. Try again, or enter your password."
NO_NAME: Final = (
    "Passkeys need an address with a host name and TLS; they are off here. Set SENDRYD_PUBLIC_URL to one, such as https://mail.example.com."
)


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """One of the person's passkeys."""

    id: str
    name: str
    used: Moment | None


async def passkeys_on_me(visit: Visit) -> Mapping[str, object]:
    """What the page of a person shows of their passkeys."""
    origin = visit.needs.passkeys.origin
    elsewhere = f"Passkeys work at {origin}: open this page there." if origin else NO_NAME
    found = [
        PasskeyView(to_base64url(each.credential_id), each.name, moment_of(each.used_at) if each.used_at else None)
        for each in await visit.needs.passkeys.list(visit.me.signed_in.person.id)
    ]
    return {"passkeys": found, "passkeys_elsewhere": "" if visit.takes_passkeys else elsewhere}


async def show_add(visit: Visit) -> Response:
    """`GET /me/passkeys`: a page that makes one."""
    return _add_form(visit, name_agent(visit.client.agent), status=200)


async def give_options_to_add(visit: Visit) -> Response:
    """`GET /me/passkeys/options`."""
    if not visit.takes_passkeys:
        return visit.go("/me")
    return _json(await visit.needs.passkeys.options_to_add(visit.me.signed_in, visit.form_secret))


async def add(visit: Visit) -> Response:
    """`POST /me/passkeys`."""
    name = visit.fields.get("name", "")
    if not visit.takes_passkeys:
        return visit.go("/me")
    try:
        await visit.needs.passkeys.add(visit.me.signed_in, visit.fields.get("credential", ""), name, visit.form_secret, client=visit.client)
    except BadPersonField as error:
        return _add_form(visit, name, wrong=str(error), status=422)
    except PasskeyRefused:
        return _add_form(visit, name, fault=NOT_TAKEN, status=422)
    except Conflict:
        return _add_form(visit, name, fault=KNOWN, status=409)
    except LimitReached:
        return _add_form(visit, name, fault=TOO_MANY, status=409)
    return visit.go("/me?said=passkey")


async def remove(visit: Visit) -> Response:
    """`POST /me/passkeys/remove`."""
    text = visit.fields.get("id", "")
    try:
        await visit.needs.passkeys.remove(visit.me.signed_in, from_base64url(text), client=visit.client)
    except (NotFound, ValueError):  # removed in another tab, or no id of ours
        return visit.go("/me")
    return visit.go("/me?said=passkey-removed")


async def give_options_to_sign_in(visit: Visit) -> Response:
    """`GET /sign-in/passkey`."""
    if not visit.takes_passkeys:
        return visit.go("/sign-in")
    return _json(visit.needs.passkeys.options_to_sign_in(visit.form_secret))


async def sign_in(visit: Visit) -> Response:
    """`POST /sign-in/passkey`: no password, and no second step."""
    access, target = visit.needs.access, next_path(visit.fields.get("next", ""))
    if not visit.takes_passkeys or not access.may_sign_in(visit.request):
        return sign_in_form(visit, email="", fault="", target=target, status=403)
    former = access.secret_of(visit.request)
    try:
        made = await visit.needs.passkeys.sign_in(
            visit.fields.get("passkey", ""), visit.form_secret, client=visit.client, replaces=hash_secret(former) if former else None
        )
    except SignInFailed:
        return sign_in_form(visit, email="", fault=WRONG, target=target, status=401)
    except SignInThrottled as error:
        return sign_in_form(visit, email="", fault=f"{WRONG} Wait {error.seconds:.0f} s.", target=target, status=429)
    return enter(visit, made, target)


async def give_options_to_elevate(visit: Visit) -> Response:
    """`GET /elevate/passkey`."""
    if not visit.takes_passkeys:
        return visit.go("/elevate")
    return _json(await visit.needs.passkeys.options_to_elevate(visit.me.signed_in, visit.form_secret))


def _json(options: Options) -> Response:
    return JSONResponse(dict(options), headers=headers())


def _add_form(visit: Visit, name: str, *, fault: str = "", wrong: str = "", status: int) -> Response:
    if not visit.takes_passkeys:
        return visit.go("/me")
    return visit.show("me_passkey.html", "me", {"name": name, "fault": fault, "wrong": wrong}, status=status)


PAGES: Final = (
    Page(path="/me/passkeys", get=show_add, post=add, needs_to_change=Right.SEE, proof=always, proof_to_get=True),
    Page(path="/me/passkeys/options", get=give_options_to_add),
    Page(path="/me/passkeys/remove", post=remove, needs_to_change=Right.SEE, proof=always),
    Page(path="/sign-in/passkey", get=give_options_to_sign_in, post=sign_in, needs=None),
    Page(path="/elevate/passkey", get=give_options_to_elevate),
)
