"""Addresses of databases and names of nodes, as settings have them."""

import pytest

from sendryd.app.database import target_of
from sendryd.app.databaseurl import parse_database_url, parse_node_name
from sendryd.app.settings import load_settings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@db.example.com/mail", "db.example.com/mail"),
        ("postgres://u@127.0.0.1:5433/mail", "127.0.0.1:5433/mail"),
        ("postgresql://u:p@[2001:db8::1]:5432/mail", "[2001:db8::1]:5432/mail"),
        ("postgresql://u:s%40t@db1:5432,db2:5432/mail?target_session_attrs=read-write", "db1:5432,db2:5432/mail"),
        ("postgresql:///mail", "the local socket/mail"),
    ],
)
def test_addresses_are_shown_without_the_password(url: str, shown: str) -> None:
    target = target_of(load_settings({"SENDRYD_DATABASE_URL": url}))
    assert str(target) == shown
    assert "secret" not in repr(target)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://h/d",
        "postgresql://h",
        "postgresql://h:x/d",
        "postgresql://h:0/d",
        "postgresql://[h/d",
        "db.example.com/mail",
        "postgresql://u:12/secret@h/d",
    ],
)
def test_other_addresses_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://user:password@host:port/database") as caught:
        parse_database_url(url)
    assert url not in str(caught.value)


def test_names_of_nodes() -> None:
    assert parse_node_name(" mail-1.example.com ") == "mail-1.example.com"
    for text in ("two words", "-a", "a" * 129, "ä", "a/b"):
        with pytest.raises(ValueError, match="letters, digits"):
            parse_node_name(text)
