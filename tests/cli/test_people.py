"""`sendryd people`."""

from typing import Any


def test_people_are_invited_listed_and_removed(cli: Any) -> None:
    assert "Nobody uses the dashboard yet" in cli.run("people", "list").stderr
    invited = cli.json("people", "invite", "Bob@acme.example", "--role", "viewer")
    assert (invited["email"], invited["role"], invited["status"]) == ("bob@acme.example", "viewer", "pending")
    assert "/join/" in invited["url"]
    (row,) = cli.json("people", "list")["data"]
    assert (row["id"], row["email"], row["role"]) == (invited["id"], "bob@acme.example", "viewer")
    assert (row["org_id"], row["user_id"]) == ("org_0000000000001", None)  # a row of GET /v1/team
    assert "bob@acme.example" in cli.run("people", "list").stdout
    assert "withdrawn" in cli.run("people", "remove", "bob@acme.example").stderr
    assert cli.json("people", "list") == {"data": [], "has_more": False, "next_cursor": None}
    assert "there is nobody" in cli.fault("people", "remove", "bob@acme.example")


def test_an_invitation_by_its_id_and_bad_input(cli: Any) -> None:
    invited = cli.json("people", "invite", "bob@acme.example")
    assert cli.json("people", "remove", invited["id"]) == {"id": invited["id"], "deleted": True}
    assert "no email address" in cli.fault("people", "invite", "nonsense")
    cli.run("people", "invite", "bob@acme.example", "--role", "king", status=2)


def test_an_owner_link_is_made_at_any_time(cli: Any) -> None:
    first, second = cli.json("people", "owner-link")["url"], cli.json("people", "owner-link")["url"]
    assert "/welcome/" in first
    assert first != second
    assert cli.run("people", "owner-link").stdout.startswith("http")
