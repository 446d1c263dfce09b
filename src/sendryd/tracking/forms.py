"""The words of the forms that unsubscribe: the page's button, and what mailbox providers post (RFC 8058 §3.1). Pure."""

from collections.abc import Mapping

from sendryd.tracking.pages import CONFIRM_FIELD


def is_one_click(form: Mapping[str, str]) -> bool:
    """Whether a mailbox provider unsubscribes for its user."""
    return form.get("list-unsubscribe", "").lower() == "one-click"


def is_confirmed(form: Mapping[str, str]) -> bool:
    """Whether somebody pressed the button."""
    return CONFIRM_FIELD in form
