"""A fresh proof of who somebody is, before a change that does much harm in the wrong hands.

The form that was posted is kept in the page that asks for the proof, and the change is made with it: nothing that was typed is lost.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from sendryd.accounts.signin import SignInFailed, SignInThrottled
from sendryd.dashboard.access import FORM_FIELD
from sendryd.dashboard.visit import Visit
from sendryd.runtime.passwords import PasswordsBusy

PROOF: Final = "password"  # also takes the code of an app
PASSKEY: Final = "passkey"  # the answer of one, instead
PROVING: Final = "proving"  # the form comes from the page that asks for the proof
BUSY: Final = "Too many passwords are being checked just now: try again in a few seconds."
WRONG: Final = "This is not right."


async def proven(visit: Visit, change: Callable[[Visit], Awaitable[Response]]) -> Response:
    """Make a posted change if the person has proved within 15 minutes who they are; ask for the proof otherwise."""
    if PROVING not in visit.fields:
        return await change(visit) if visit.is_elevated else await ask_proof(visit, path=visit.request.url.path, status=200)
    kept = {name: value for name, value in visit.fields.items() if name not in {PROOF, PASSKEY, PROVING}}
    fault, status = await check_proof(visit)
    if fault:
        return await ask_proof(replace(visit, fields=kept), path=visit.request.url.path, fault=fault, status=status)
    return await change(replace(visit, fields=kept))


async def check_proof(visit: Visit) -> tuple[str, int]:
    """Why the posted proof does not count, with the status to answer; empty if it counts."""
    signed_in, passkey = visit.me.signed_in, visit.fields.get(PASSKEY, "")
    try:
        if passkey:
            await visit.needs.passkeys.elevate(signed_in, passkey, visit.form_secret, client=visit.client)
        else:
            await visit.needs.signin.elevate(signed_in, visit.fields.get(PROOF, ""), client=visit.client)
    except SignInFailed:
        return WRONG, 401
    except SignInThrottled as error:
        return f"{WRONG} Try again in {error.seconds:.0f} s.", 429
    except PasswordsBusy:
        return BUSY, 503
    return "", 200


async def ask_proof(visit: Visit, *, path: str, fault: str = "", status: int) -> Response:
    """The page that asks for the proof. Its form goes to `path` with all that was posted before."""
    kept = tuple((name, value) for name, value in visit.fields.items() if name not in {FORM_FIELD, PROOF, PASSKEY, PROVING})
    person = visit.me.signed_in.person
    values = {
        "action": path,
        "kept": (*kept, (PROVING, "1")),
        "fault": fault,
        "has_factor": bool(person.totp_secret),
        "has_password": bool(person.password_hash),
        "provider": visit.needs.provider.name if visit.needs.provider and visit.takes_provider else "",
        "next": visit.fields.get("next") or urlsplit(visit.request.headers.get("referer", "")).path or "/",
        "has_passkey": visit.takes_passkeys and bool(await visit.needs.passkeys.list(person.id)),
    }
    return visit.show("elevate.html", "elevate", values, status=status)
