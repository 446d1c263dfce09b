"""What the tests of the machines share."""

import pytest

from sendryd.testing.shell import Shell


@pytest.fixture
def shell() -> Shell:
    """Encrypted and logged in."""
    return Shell(encrypted=True).log_in()
