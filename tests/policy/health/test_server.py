"""Judgements on the server of the database."""

from dataclasses import replace
from datetime import timedelta

from sendryd.policy.health import Check, Verdict, is_sound
from sendryd.policy.health.server import Bloated, LongTransaction, ServerState, SilentNode, judge_server
from sendryd.testing.cases import cases

GOOD = ServerState(name="db.example:5432/mail", version="16.4", major=16, nodes=2, connections_left=90, max_connections=100)


def test_nothing_is_said_of_a_good_server() -> None:
    findings = judge_server(GOOD)
    assert {each.verdict for each in findings} == {Verdict.RIGHT}
    assert findings[0].sentence == "The database at db.example:5432/mail is PostgreSQL 16.4 and can be used."


@cases(
    ("state", "check", "verdict", "sentence", "fix"),
    [
        (
            ServerState(name="db:5432/mail", fault="the database at db:5432/mail cannot be reached: Connection refused"),
            Check.DATABASE,
            Verdict.WRONG,
            "The database at db:5432/mail cannot be reached: Connection refused.",
            "Start the server or mend the network; or correct SENDRYD_DATABASE_URL.",
        ),
        (
            replace(GOOD, major=14, version="14.9"),
            Check.DATABASE,
            Verdict.WRONG,
            "The database at db.example:5432/mail is PostgreSQL 14.9: 15 is the oldest that works.",
            "Upgrade the server (pg_upgrade).",
        ),
        (
            replace(GOOD, is_standby=True),
            Check.DATABASE,
            Verdict.WRONG,
            "The database at db.example:5432/mail is a standby: nothing can be written there.",
            "Set SENDRYD_DATABASE_URL to the primary.",
        ),
        (
            replace(GOOD, pending=1),
            Check.DATABASE,
            Verdict.WRONG,
            "The database at db.example:5432/mail lacks 1 migration.",
            "Run: sendryd migrate",
        ),
        (
            replace(GOOD, unsafe=("fsync",)),
            Check.DATABASE,
            Verdict.WRONG,
            "The server runs with fsync = off: a crash of it loses mail that was acknowledged.",
            "ALTER SYSTEM RESET fsync; SELECT pg_reload_conf();",
        ),
        (
            replace(GOOD, ahead=timedelta(seconds=7)),
            Check.CLOCK,
            Verdict.ADVISED,
            "The clock of this machine shows a time 7 s after that of the database's server.",
            "Let both be synchronised (systemd-timesyncd or chrony).",
        ),
        (
            replace(GOOD, ahead=-timedelta(seconds=40)),
            Check.CLOCK,
            Verdict.WRONG,
            "The clock of this machine shows a time 40 s before that of the database's server.",
            "Let both be synchronised (systemd-timesyncd or chrony).",
        ),
        (
            replace(GOOD, silent=(SilentNode(name="b", silence=timedelta(hours=2)),)),
            Check.NODES,
            Verdict.ADVISED,
            "The node b has been silent for 2 h, and did not stop in order.",
            "Look at its machine and its log, and start it again; one that is not wanted any more is forgotten after a day.",
        ),
        (
            replace(GOOD, connections_left=3),
            Check.DATABASE,
            Verdict.WRONG,
            "The server has 3 of its 100 connections left: a process of sendryd uses up to 10.",
            "Raise max_connections of the server, or let SENDRYD_DATABASE_URL lead through PgBouncer in transaction mode.",
        ),
        (
            replace(GOOD, connections_left=20),
            Check.DATABASE,
            Verdict.ADVISED,
            "The server has 20 of its 100 connections left.",
            "Raise max_connections of the server, or let SENDRYD_DATABASE_URL lead through PgBouncer in transaction mode.",
        ),
        (
            replace(GOOD, oldest=LongTransaction(process=77, age=timedelta(hours=16), program="psql")),
            Check.DATABASE,
            Verdict.ADVISED,
            "A transaction by psql has been open for 16 h: dead rows cannot be removed meanwhile.",
            "End it if it was forgotten: SELECT pg_terminate_backend(77);",
        ),
        (
            replace(GOOD, bloated=(Bloated(name="delivery", dead=2_000_000, living=1_000),)),
            Check.DATABASE,
            Verdict.ADVISED,
            "The table delivery has 2,000,000 dead rows beside 1,000 living ones: claims get slow.",
            "VACUUM ANALYZE delivery; and see that autovacuum is on.",
        ),
        (
            replace(GOOD, age=1_500_000_000),
            Check.DATABASE,
            Verdict.WRONG,
            "The database's oldest rows are 1,500,000,000 transactions old: the server takes no writes at two billion.",
            "VACUUM FREEZE; and see that autovacuum is on.",
        ),
    ],
)
def test_each_fault_is_one_sentence_and_a_line_that_mends_it(
    state: ServerState, check: Check, verdict: Verdict, sentence: str, fix: str
) -> None:
    findings = judge_server(state)
    loud = [(each.check, each.verdict, each.sentence, each.fix) for each in findings if each.verdict is not Verdict.RIGHT]
    assert loud == [(check, verdict, sentence, fix)]
    assert is_sound(findings) is (verdict is not Verdict.WRONG)
