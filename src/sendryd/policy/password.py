"""What a password may be. Pure.

Source: NIST SP 800-63B §3.1.1.2: a length, a list of common ones, no rules of composition.
"""

from collections.abc import Container
from typing import Final

MIN_OCTETS: Final = 12
MAX_OCTETS: Final = 1024  # a hash costs the same for any; more only fills the request


class WeakPassword(ValueError):
    """The password may not be used; the message says why, for the person who chose it."""


def check_password(password: str, email: str, common: Container[str]) -> None:
    """Raises `WeakPassword`. `common` holds the most common passwords in lower case."""
    octets = len(password.encode("utf-8", "replace"))
    if octets < MIN_OCTETS:
        raise WeakPassword(f"The password is too short: take at least {MIN_OCTETS} characters, for example four words.")
    if octets > MAX_OCTETS:
        raise WeakPassword(f"The password is too long: take at most {MAX_OCTETS} characters.")
    if password.lower() in common:
        raise WeakPassword("This is one of the most common passwords: take another.")
    if password.lower() in {email, email.partition("@")[0]} or len(set(password)) < 3:
        raise WeakPassword("The password is easy to guess: it is your email, or repeats a character.")
