"""The program with a store that takes messages and forgets them: what taking mail costs without keeping it. `accept.py` runs it."""

from sendryd.cli.main import run
from sendryd.store.base import NewMessage
from sendryd.store.sql.mail.accepting import Accepting


async def forget(_store: Accepting, _message: NewMessage) -> None:
    """In the place of `accept`."""


if __name__ == "__main__":
    Accepting.accept = forget  # type: ignore[assignment, method-assign]
    run()
