"""How well an email is made, as answers have it. Pure.

Apart from `schema`, which commands load too: the checks load a parser of HTML.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from sendryd.message.insights import Check


class InsightCheck(TypedDict):
    """One check of an email."""

    id: str
    label: str
    status: Literal["pass", "warn", "fail", "info"]
    message: str
    action: NotRequired[str]


class Insights(TypedDict):
    """The checks of an email, and its score from 0 to 100."""

    score: int
    checks: list[InsightCheck]
    generated_at: str


def check_json(check: Check) -> InsightCheck:
    """One check of a message."""
    body: InsightCheck = {"id": check.id, "label": check.label, "status": check.mark.value, "message": check.message}
    if check.action is not None:
        body["action"] = check.action
    return body
