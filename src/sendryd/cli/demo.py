"""`sendryd demo`: the whole path on one machine with a fake world of its own."""


def demo() -> None:
    """Shows the whole path."""
