"""Whether an API key fails so often that somebody should look at its app. Pure."""

from typing import Final

FEW: Final = 10  # failures: fewer are a person who tries something out
SHARE: Final = 0.2  # of all: an app may meet a refusal now and then, and go on


def fails_often(failed: int, done: int) -> bool:
    """Whether `failed` of all that a key did, `done` included, are many.

    >>> fails_often(9, 0), fails_often(10, 0), fails_often(10, 41)
    (False, True, False)
    """
    return failed >= FEW and failed >= SHARE * (failed + done)
