"""How many rows of a kind an account may have, counted in the transaction that adds one: creates at the same time cannot pass it."""

from sendryd.store.errors import LimitReached


def check_limit(count: int, limit: int | None, what: str, advice: str) -> None:
    """Raises `LimitReached` if the rows, the one just added included, are more than the limit; None: there is none. `what` is
    in the singular.
    """
    if limit is not None and count > limit:
        raise LimitReached(limit, what, advice)
