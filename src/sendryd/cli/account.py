"""`sendryd account`: an account and its settings."""

from typing import Annotated, TypedDict

import typer

from sendryd.accounts.account_smarthost import AccountSmartHosts
from sendryd.accounts.errors import BadField
from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.cli.opening import AUTHOR, CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import print_json, print_line, say
from sendryd.model.account import Account
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId, format_id, parse_id
from sendryd.model.moment import timestamp

app = typer.Typer(name="account", no_args_is_help=True, help="Show an account, and change its settings.")

KEY = "smarthost"
Id = Annotated[str, typer.Option("--id", metavar="ID", help="An account (org_…).")]
DEFAULT = "default"


class AccountDocument(TypedDict):
    """An account, as `--json` prints it."""

    id: str
    name: str
    created_at: str
    smarthost: str | None


@app.command()
def show(account_id: Id = DEFAULT, as_json: Json = False) -> None:
    """Show an account with its smart host."""

    async def work(basics: Basics) -> Account:
        return await _find(basics, account_id)

    _print(with_store(work), as_json=as_json)


@app.command("set")
def set_(
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="smarthost=URL; without a URL: none.")],
    account_id: Id = DEFAULT,
    as_json: Json = False,
) -> None:
    """Set the smart host of an account.

    It takes the mail of the account's domains that name none of their own: smtp://USER:PASSWORD@HOST:PORT (STARTTLS), smtps:// (TLS from the start)
    or smtp+notls:// (clear text); empty: none. Mail that waits moves. The password is not shown again.
    """
    pairs = [each.partition("=") for each in changes]
    if len(pairs) != 1 or pairs[0][0] != KEY or not pairs[0][1]:
        raise typer.BadParameter(f"write {KEY}=URL, or {KEY}= for none")

    async def work(basics: Basics) -> Account:
        account = await _find(basics, account_id)
        try:
            return await AccountSmartHosts(basics.store, basics.audit).set(account.id, pairs[0][2], AUTHOR, is_operator=True)
        except BadField as error:
            raise CommandFailed(f"{KEY}: {error}") from None

    _print(with_store(work), as_json=as_json)


async def _find(basics: Basics, text: str) -> Account:
    number = DEFAULT_ACCOUNT if text == DEFAULT else parse_id(text, ORGANIZATION_PREFIX)
    account = await basics.store.get_account(AccountId(number)) if number is not None else None
    if account is None:
        raise CommandFailed(f"there is no account {text}")
    return account


def _print(account: Account, *, as_json: bool) -> None:
    number, url = format_id(ORGANIZATION_PREFIX, account.id), account.settings.smarthost.url
    if as_json:
        print_json(AccountDocument(id=number, name=account.name, created_at=timestamp(account.created_at), smarthost=url or None))
        return
    print_line(number, account.name)
    say(f"  smart host: {url or 'none; domains may have their own'}")
