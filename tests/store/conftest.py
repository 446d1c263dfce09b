"""What all tests of stores use."""

import pytest

from sendryd.testing.samples import Samples


@pytest.fixture
def samples() -> Samples:
    """Values to store."""
    return Samples()
