"""Reads the forms that unsubscribe: the page's button, and the POST of mailbox providers (RFC 8058 §3.1). Pure."""

from collections.abc import Mapping

from sendryd.tracking.pages import CONFIRM_FIELD


def is_one_click(form: Mapping[str, str]) -> bool:
    """Whether a mailbox provider posted the form for its user."""
    return form.get("list-unsubscribe", "").lower() == "one-click"


def is_confirmed(form: Mapping[str, str]) -> bool:
    """Whether the page's button posted the form."""
    return CONFIRM_FIELD in form
