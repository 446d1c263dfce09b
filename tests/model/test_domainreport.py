"""By which names reporters go."""

from sendryd.model.domainreport import is_in_own_name
from sendryd.testing.cases import cases


@cases(
    ("reporter", "organisation", "is_own"),
    [
        ("google.com", "google.com", True),
        ("Google Inc.", "google.com", True),
        ("Yahoo! Inc.", "yahooinc.com", True),
        ("AMAZON-SES", "amazonses.com", True),
        ("Outlook.com", "microsoft.com", False),
        ("Google Inc.", "evil.test", False),
        ("Google Inc.", "go.test", False),
        ("Google Inc.", "evil-google.test", False),
        ("<>", "evil.test", False),
        ("Google Inc.", "", False),
    ],
)
def test_a_reporter_is_compared_with_its_author(reporter: str, organisation: str, is_own: bool) -> None:
    assert is_in_own_name(reporter, organisation) is is_own
