"""What the machines say must not put secrets or whole messages into logs."""

from sendryd.smtp.events import CredentialsOffered, DataEnded


def test_secrets_and_contents_are_not_shown() -> None:
    assert "key" not in repr(CredentialsOffered("PLAIN", "user", "key"))
    assert "body" not in repr(DataEnded(b"body"))
