"""How many examples a property is tried with: a share of what its test names, that a long run of the tests raises."""

import os
from typing import Final

SHARE: Final = float(os.environ.get("SENDRYD_TEST_EXAMPLES", "0.3"))  # each run tries others, so a few each time come to many
LEAST: Final = 10


def examples(count: int) -> int:
    """That share of so many."""
    return max(LEAST, round(count * SHARE))
