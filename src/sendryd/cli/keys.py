"""`sendryd keys`: create, list, revoke and rotate API keys."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from sendryd.api.api_keys.schema import key_json, new_key_json
from sendryd.api.framework.answers import page
from sendryd.api.framework.bodies import one_line
from sendryd.app.build import DEFAULT_ACCOUNT, OPERATOR, Basics
from sendryd.app.values import parse_period
from sendryd.cli.opening import AUTHOR, CommandFailed, duration, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import command, print_json, print_line, print_table, say
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import API_KEY_PREFIX, ApiKeyId, format_id, parse_id
from sendryd.store.errors import NotFound

app = typer.Typer(name="keys", no_args_is_help=True, help="Create, list, revoke and rotate API keys.")

MAX_NAME: Final = 100  # characters, as in the REST API


def _key_id(text: str) -> ApiKeyId:
    number = parse_id(text, API_KEY_PREFIX)
    if number is None:
        raise CommandFailed(f"{text} is not the id of a key (key_…); {command('keys list')} lists them")
    return ApiKeyId(number)


def _show_new(key: ApiKey, secret: str, *, as_json: bool) -> None:
    if as_json:
        print_json(new_key_json(key, secret))
        return
    say(f"Key {format_id(API_KEY_PREFIX, key.id)} ({key.mode.value}, {key.scope.value}). It is shown only now:")
    print_line(secret)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for, 1 to 100 characters.")],
    scope: Annotated[Scope, typer.Option(help="What the key may do.")] = Scope.FULL_ACCESS,
    mode: Annotated[KeyMode, typer.Option(help="Mail of a test key goes to the Test Inbox, never out.")] = KeyMode.LIVE,
    expires: Annotated[str | None, typer.Option(metavar="DURATION", help="Lifetime, for example 90d.")] = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it once."""
    if not name.strip() or len(name) > MAX_NAME:
        raise typer.BadParameter(f"a name has 1 to {MAX_NAME} characters")
    try:
        one_line(name)
    except ValueError as error:
        raise typer.BadParameter(f"--name: {error}") from None
    lifetime = duration(expires, parse_period)

    async def work(basics: Basics) -> tuple[ApiKey, str]:
        return await basics.keys.by(AUTHOR).create(OPERATOR, name, scope=scope, mode=mode, expires_in=lifetime)

    _show_new(*with_store(work), as_json=as_json)


@app.command("list")
def list_keys(as_json: Json = False) -> None:
    """List all keys, without their secrets."""

    async def work(basics: Basics) -> list[ApiKey]:
        return await basics.store.list_api_keys(DEFAULT_ACCOUNT)

    keys = [key_json(key) for key in with_store(work)]
    if as_json:
        print_json(page(keys, has_more=False))
        return
    print_table(
        ("id", "name", "mode", "scope", "prefix", "last used", "state"),
        [
            (
                key["id"],
                key["name"],
                key["mode"],
                key["scope"],
                key["key_prefix"],
                key["last_used_at"] or "never",
                f"revoked {key['revoked_at']}" if key["revoked_at"] else f"expires {key['expires_at']}" if key["expires_at"] else "active",
            )
            for key in keys
        ],
        if_empty=f"There are no API keys; {command('keys create --name NAME')} creates one.",
    )


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="A key (key_…).")], as_json: Json = False) -> None:
    """Revoke a key at once."""

    async def work(basics: Basics) -> ApiKey:
        try:
            return await basics.keys.by(AUTHOR).revoke(OPERATOR, _key_id(key_id))
        except NotFound:
            raise CommandFailed(f"there is no key {key_id}") from None

    key = with_store(work)
    if as_json:
        print_json({**key_json(key), "deleted": True})
    else:
        say(f"Key {key_id} ({key.name}) is revoked.")


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="A key (key_…).")],
    grace: Annotated[str, typer.Option(metavar="DURATION", help="How long the old key keeps working.")] = "0s",
    as_json: Json = False,
) -> None:
    """Create a key like an old one, print it once, and revoke the old one."""
    delay = duration(grace) or timedelta(0)

    async def work(basics: Basics) -> tuple[ApiKey, str]:
        try:
            return await basics.keys.by(AUTHOR).rotate(OPERATOR, _key_id(key_id), grace=delay)
        except NotFound:
            raise CommandFailed(f"there is no key {key_id}") from None

    _show_new(*with_store(work), as_json=as_json)
