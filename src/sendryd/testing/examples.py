"""The number of examples of a property: a share of the number in its test, which a long run raises."""

import os
from typing import Final

SHARE: Final = float(os.environ.get("SENDRYD_TEST_EXAMPLES", "0.1"))  # each run tries other examples
LEAST: Final = 10


def examples(count: int) -> int:
    """The share of `count` examples."""
    return max(LEAST, round(count * SHARE))
