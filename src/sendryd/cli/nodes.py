"""`sendryd nodes`: the processes on one PostgreSQL."""

from typing import Annotated, TypedDict, cast

import typer

from sendryd.api.framework.answers import page
from sendryd.app.build import Basics
from sendryd.cli.opening import CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import fail, print_json, print_table, say
from sendryd.model.moment import timestamp
from sendryd.store.base.nodes import Node, NodeStore

app = typer.Typer(help="The nodes on one PostgreSQL: what each does, and how one hands over.", no_args_is_help=True, add_completion=False)

ALONE = "SQLite has one node: set SENDRYD_DATABASE_URL to run several on one PostgreSQL"


class NodeJson(TypedDict):
    """A node."""

    name: str
    roles: list[str]
    since: str
    last_seen: str
    owns: int
    state: str


def _nodes(basics: Basics) -> NodeStore:
    if not basics.settings.database_url:
        raise CommandFailed(ALONE)
    return cast("NodeStore", basics.store)


def _document(node: Node) -> NodeJson:
    return {
        "name": node.name,
        "roles": list(node.roles),
        "since": timestamp(node.since),
        "last_seen": timestamp(node.last_seen),
        "owns": node.owns,
        "state": node.state.value,
    }


@app.command("list")
def list_nodes(as_json: Json = False) -> None:
    """List the nodes: roles, since when, last seen, how many of the 256 shares of destinations each owns."""

    async def work(basics: Basics) -> list[NodeJson]:
        return [_document(node) for node in await _nodes(basics).list_nodes()]

    found = with_store(work)
    if as_json:
        print_json(page(found, has_more=False))
        return
    rows = [[each["name"], each["state"], ",".join(each["roles"]), each["since"], each["last_seen"], str(each["owns"])] for each in found]
    print_table(["name", "state", "roles", "since", "last seen", "owns"], rows, if_empty="No node has run yet.")


@app.command()
def drain(name: Annotated[str, typer.Argument(help="The name of a node, as `nodes list` shows it.")], as_json: Json = False) -> None:
    """Let a node finish what is under way and hand over. It takes part again after a restart."""

    async def work(basics: Basics) -> bool:
        return await _nodes(basics).ask_to_drain(name)

    if not with_store(work):
        fail(f"no living node is called {name}: `nodes list` shows them")
    if as_json:
        print_json({"name": name, "draining": True})
    else:
        say(f"{name} finishes what is under way and hands over; `nodes list` shows when it is drained.")
