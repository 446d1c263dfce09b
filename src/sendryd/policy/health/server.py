"""Judgements on the server of the database and on the processes that share it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sendryd.policy.explain.words import count, span
from sendryd.policy.health.finding import Check, Finding, advised, right, wrong

OLDEST_VERSION: Final = 15
PER_PROCESS: Final = 10  # connections that one process of the program uses at most
SOME_CONNECTIONS: Final = 3 * PER_PROCESS  # for a process that starts while another stops, and for commands
CLOCK_DIFFERENCE: Final = timedelta(seconds=2)  # synchronised clocks differ by milliseconds; a busy machine answers late
CLOCK_FAULT: Final = timedelta(seconds=30)  # a heartbeat later than that counts as silence
LONG_TRANSACTION: Final = timedelta(hours=1)  # the longest of this program take minutes
MANY_DEAD: Final = 100_000  # rows of a table, and as many as its living ones: look-ups read over them
OLD_ROWS: Final = 1_000_000_000  # transactions; autovacuum freezes at a fifth of it, the server stops at twice of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bloated:
    """A table with many dead rows."""

    name: str
    dead: int
    living: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTransaction:
    """The oldest transaction of the database."""

    process: int  # of the server
    age: timedelta
    program: str  # what its client calls itself


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentNode:
    """A node of which nothing is heard, and that has not said that it stops."""

    name: str
    silence: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """What was seen of the server."""

    name: str  # host, port and database
    fault: str = ""  # why it cannot be used; nothing else is known then
    version: str = ""
    major: int = OLDEST_VERSION
    pending: int = 0  # migrations
    is_standby: bool = False
    unsafe: tuple[str, ...] = ()  # settings by which a crash of the server loses what was committed
    ahead: timedelta = timedelta()  # the clock of this machine, of the server's
    silent: tuple[SilentNode, ...] = ()
    nodes: int = 0  # that are heard of
    connections_left: int = SOME_CONNECTIONS
    max_connections: int = 0
    oldest: LongTransaction | None = None
    bloated: tuple[Bloated, ...] = ()
    age: int = 0  # of the oldest row that is not frozen, in transactions


def judge_server(state: ServerState) -> list[Finding]:
    """Whether the server can be used, and for how long."""
    if state.fault:
        fix = "Start the server or mend the network; or correct SENDRYD_DATABASE_URL."
        return [wrong(Check.DATABASE, f"{state.fault[:1].upper()}{state.fault[1:]}.", fix)]
    found = [_judge_use(state), _judge_connections(state), _judge_time(state), *_judge_nodes(state)]
    for setting in state.unsafe:
        sentence = f"The server runs with {setting} = off: a crash of it loses mail that was acknowledged."
        found.append(wrong(Check.DATABASE, sentence, f"ALTER SYSTEM RESET {setting}; SELECT pg_reload_conf();", about=setting))
    oldest = state.oldest
    if oldest is not None and oldest.age > LONG_TRANSACTION:
        whose = f" by {oldest.program}" if oldest.program else ""
        sentence = f"A transaction{whose} has been open for {span(oldest.age)}: dead rows cannot be removed meanwhile."
        fix = f"End it if it was forgotten: SELECT pg_terminate_backend({oldest.process});"
        found.append(advised(Check.DATABASE, sentence, fix, about="transactions"))
    for table in state.bloated:
        sentence = f"The table {table.name} has {table.dead:,} dead rows beside {table.living:,} living ones: claims get slow."
        found.append(advised(Check.DATABASE, sentence, f"VACUUM ANALYZE {table.name}; and see that autovacuum is on.", about=table.name))
    if state.age > OLD_ROWS:
        sentence = f"The database's oldest rows are {state.age:,} transactions old: the server takes no writes at two billion."
        found.append(wrong(Check.DATABASE, sentence, "VACUUM FREEZE; and see that autovacuum is on.", about="vacuum"))
    return found


def _judge_use(state: ServerState) -> Finding:
    if state.major < OLDEST_VERSION:
        sentence = f"The database at {state.name} is PostgreSQL {state.version}: {OLDEST_VERSION} is the oldest that works."
        return wrong(Check.DATABASE, sentence, "Upgrade the server (pg_upgrade).")
    if state.is_standby:
        sentence = f"The database at {state.name} is a standby: nothing can be written there."
        return wrong(Check.DATABASE, sentence, "Set SENDRYD_DATABASE_URL to the primary.")
    if state.pending:
        sentence = f"The database at {state.name} lacks {count(state.pending, 'migration', 'migrations')}."
        return wrong(Check.DATABASE, sentence, "Run: sendryd migrate")
    return right(Check.DATABASE, f"The database at {state.name} is PostgreSQL {state.version} and can be used.")


def _judge_connections(state: ServerState) -> Finding:
    left = f"{state.connections_left} of its {state.max_connections} connections left"
    fix = "Raise max_connections of the server, or let SENDRYD_DATABASE_URL lead through PgBouncer in transaction mode."
    if state.connections_left < PER_PROCESS:
        sentence = f"The server has {left}: a process of sendryd uses up to {PER_PROCESS}."
        return wrong(Check.DATABASE, sentence, fix, about="connections")
    if state.connections_left < SOME_CONNECTIONS:
        return advised(Check.DATABASE, f"The server has {left}.", fix, about="connections")
    return right(Check.DATABASE, f"The server has {left}.", about="connections")


def _judge_time(state: ServerState) -> Finding:
    difference = abs(state.ahead)
    if difference < CLOCK_DIFFERENCE:
        return right(Check.CLOCK, "The clocks of this machine and of the database's server agree.", about="database")
    where = "after" if state.ahead > timedelta() else "before"
    sentence = f"The clock of this machine shows a time {span(difference)} {where} that of the database's server."
    fix = "Let both be synchronised (systemd-timesyncd or chrony)."
    return (wrong if difference >= CLOCK_FAULT else advised)(Check.CLOCK, sentence, fix, about="database")


def _judge_nodes(state: ServerState) -> list[Finding]:
    silent = [
        advised(
            Check.NODES,
            f"The node {node.name} has been silent for {span(node.silence)}, and did not stop in order.",
            "Look at its machine and its log, and start it again; one that is not wanted any more is forgotten after a day.",
            about=node.name,
        )
        for node in state.silent
    ]
    return silent or ([right(Check.NODES, f"All nodes that started are heard of: {state.nodes}.")] if state.nodes else [])
