"""The search index: for each month of messages a full-text table of their terms, in which nothing but terms and row numbers is kept.

A month is dropped as a whole once its messages are deleted. Row numbers are the messages' ids. Each message has one more term, its account and
mode, so that every search is one of the terms of an account.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import apsw

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.policy.searchterms import SearchTerm, Wanted, search_terms
from sendryd.store.codec.messages import show_message
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import clean, first_id, time_of, to_json
from sendryd.store.derived.queries import SQL
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.errors import RowUnreadable

# Every printable ASCII character belongs to a term, as all others do: terms are split at blanks alone.
_TOKENS: Final = "ascii tokenchars '!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~'"
_MAKE: Final = "CREATE VIRTUAL TABLE IF NOT EXISTS {table} USING fts5(terms, content='', contentless_delete=1, detail=none, prefix='3 6', tokenize={tokens})"
_BLANK: Final = re.compile(r"[\x00-\x20\x7f]+")  # no term has one
_FIND: Final = "SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid < ? AND rowid >= ? ORDER BY rowid DESC LIMIT ?"


def month_of(number: int) -> str:
    """The table of a message."""
    return f"mail_{time_of(number):%Y_%m}"


def month_span(table: str) -> tuple[int, int]:
    """The first id of a table's month, and that of the next month."""
    year, month = int(table[5:9]), int(table[10:12])
    return first_id(datetime(year, month, 1, tzinfo=UTC)), first_id(datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC))


def list_months(derived: SqliteConnection) -> list[str]:
    """The tables, newest first."""
    return [str(name) for (name,) in derived.tuples(SQL["list_months"], {})]


def read_terms(main: Connection, name: str, **values: Any) -> list[tuple[int, set[str]]]:
    """The ids and terms of the messages of a statement. Those that cannot be read have none but their account and mode."""
    rows = [row for row in Unreadable().fetch(main, SQL[name], None, values) if row is not None]
    paths: dict[int, list[str]] = {}
    ids = to_json([row["id"] for row in rows])
    for row in Unreadable().fetch(main, SQL["list_forward_paths"], None, {"ids": ids}):
        if row is not None:
            paths.setdefault(row["message_id"], []).append(row["forward_path"])
    return [(row["id"], _terms(row, paths.get(row["id"], ()))) for row in rows]


def _terms(row: Row, paths: Iterable[str]) -> set[str]:
    own = {f"={row['account_id']}/{row['mode']}"}
    try:
        return search_terms(show_message(row), paths) | own
    except RowUnreadable:
        return own


def add_terms(derived: SqliteConnection, found: Sequence[tuple[int, set[str]]], *, are_new: bool) -> None:
    """Puts messages into the index; those that may be there already are taken out first."""
    months: dict[str, list[tuple[int, str]]] = {}
    for number, terms in found:
        months.setdefault(month_of(number), []).append((number, clean(" ".join(terms))))
    there = set(list_months(derived))
    for table, rows in months.items():
        if table not in there:
            derived.execute(_MAKE.format(table=table, tokens=apsw.format_sql_value(_TOKENS)))
        elif not are_new:
            derived.executemany(f"DELETE FROM {table} WHERE rowid = ?", [(number,) for number, _ in rows])
        derived.executemany(f"INSERT INTO {table} (rowid, terms) VALUES (?, ?)", rows)


def find_indexed(derived: SqliteConnection, query: str, *, below: int, first: int, limit: int) -> list[int]:
    """The ids of messages in the index, newest first, from `first` up to, not including, `below`."""
    found: list[int] = []
    for table in list_months(derived):
        start, end = month_span(table)
        if start < below and end > first and len(found) < limit:
            values = (query, below, first, limit - len(found))
            found += [int(number) for (number,) in derived.execute(_FIND.format(table=table), values)]
    return found


def match_query(account_id: AccountId, mode: KeyMode, wanted: Wanted) -> str:
    """The full-text query for terms of an account's mail."""
    own = SearchTerm(f"={account_id}/{mode.value}")
    asked = " AND ".join(map(_quoted, (own, *wanted.all_of)))
    refused = " OR ".join(f"({' AND '.join(map(_quoted, group))})" for group in wanted.none_of if group)
    return f"({asked}) NOT ({refused})" if refused else asked


def _quoted(term: SearchTerm) -> str:
    text = clean(_BLANK.sub("", term.text)).replace('"', '""')
    return f'"{text}" *' if term.is_prefix else f'"{text}"'
