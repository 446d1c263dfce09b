"""What changed from version to version, for clients. Pure. `CHANGELOG.md` says more, for operators."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sendryd import __version__

UNRELEASED: Final = "unreleased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version."""

    version: str
    date: str  # ISO 8601, or that it is not released
    changes: Mapping[str, tuple[str, ...]]  # by kind, as in Keep a Changelog, in lower case


RELEASES: Final = (  # newest first
    Release(
        version=__version__,
        date=UNRELEASED,
        changes={
            "added": (
                "Submission over SMTP with STARTTLS, API keys as passwords",
                "Accounts, API keys with scopes, modes and expiry",
                "Sending domains with DKIM keys, proved by DNS and checked again in the background",
                "Delivery to MX or a smart host with DKIM signatures, retries and classified bounces",
                "The Test Inbox for test keys",
                "The REST API: emails, events and logs, sending domains, API keys, the account, regions, status",
            )
        },
    ),
)
