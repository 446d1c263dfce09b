"""Starter templates and designs. Pure data."""

from collections.abc import Mapping
from typing import Final, TypedDict


class StarterTemplate(TypedDict):
    """A template to start from."""

    id: str
    name: str
    description: str
    subject: str
    html: str
    variables: list[str]  # the names in it


class StarterDesign(TypedDict):
    """A design to start from."""

    id: str
    name: str
    description: str
    category: str
    design: Mapping[str, object]


_STYLES: Final = {
    "bodyBackgroundColor": "#f4f4f5",
    "contentBackgroundColor": "#ffffff",
    "contentWidth": 600,
    "fontFamily": "Helvetica, Arial, sans-serif",
    "linkColor": "#2563eb",
}


def _page(title: str, body: str, button: tuple[str, str] | None = None, note: str = "") -> str:
    """One layout for all starters: a white card with a title, some text, perhaps a button, and a note."""
    action = ""
    if button is not None:
        label, variable = button
        action = (
            f'<p style="margin:24px 0"><a href="{{{{ {variable} }}}}" style="display:inline-block;padding:12px 24px;background-color:#2563eb;'
            f'color:#ffffff;border-radius:6px;font-weight:bold;text-decoration:none">{label}</a></p>'
        )
    small = f'<p style="margin:24px 0 0;font-size:13px;color:#71717a">{note}</p>' if note else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"></head>\n'
        '<body style="margin:0;background-color:#f4f4f5;font-family:Helvetica,Arial,sans-serif;color:#18181b">\n'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center" style="padding:32px 12px">\n'
        '<table role="presentation" width="560" cellpadding="0" cellspacing="0" border="0" '
        'style="width:100%;max-width:560px;background-color:#ffffff;border-radius:8px"><tr><td style="padding:32px;font-size:16px;line-height:1.5">\n'
        f'<h1 style="margin:0 0 16px;font-size:22px">{title}</h1>\n{body}\n{action}{small}\n'
        "</td></tr></table>\n</td></tr></table>\n</body></html>\n"
    )


def _starter(name: str, description: str, subject: str, html: str, *variables: str) -> StarterTemplate:
    return {
        "id": name.lower().replace(" ", "-"),
        "name": name,
        "description": description,
        "subject": subject,
        "html": html,
        "variables": list(variables),
    }


STARTERS: Final[tuple[StarterTemplate, ...]] = (
    _starter(
        "Welcome",
        "Greets somebody who has just signed up.",
        "Welcome to {{ product_name }}",
        _page(
            "Welcome, {{ first_name|default('there') }}",
            "<p>Your account at {{ product_name }} is ready. Here is where to begin.</p>",
            ("Get started", "start_url"),
            "If you have a question, answer this mail: a person reads it.",
        ),
        "first_name",
        "product_name",
        "start_url",
    ),
    _starter(
        "Verify email",
        "Asks somebody to confirm an address.",
        "Confirm your email address",
        _page(
            "Confirm your address",
            "<p>Press the button to confirm that this address is yours.</p>",
            ("Confirm address", "verify_url"),
            "The link works for {{ expires_in|default('24 hours') }}. If you did not ask for it, do nothing.",
        ),
        "expires_in",
        "verify_url",
    ),
    _starter(
        "Password reset",
        "Lets somebody choose a new password.",
        "Reset your password",
        _page(
            "Reset your password",
            "<p>Somebody, we hope you, asked to reset the password of this account.</p>",
            ("Choose a new password", "reset_url"),
            "The link works for {{ expires_in|default('1 hour') }}. If it was not you, your password stays as it is.",
        ),
        "expires_in",
        "reset_url",
    ),
    _starter(
        "Magic link",
        "Logs somebody in without a password.",
        "Your link to log in to {{ product_name }}",
        _page(
            "Log in to {{ product_name }}",
            "<p>Press the button to log in. The link works once.</p>",
            ("Log in", "login_url"),
            "If you did not ask for it, do nothing.",
        ),
        "login_url",
        "product_name",
    ),
    _starter(
        "Receipt",
        "Lists what was paid for.",
        "Your receipt {{ receipt_number }}",
        _page(
            "Thank you for your order",
            "<p>Receipt {{ receipt_number }}, {{ date }}</p>\n"
            '<table width="100%" cellpadding="0" cellspacing="0" border="0" style="font-size:15px">{% for item in items %}<tr>'
            '<td style="padding:8px 0;border-bottom:1px solid #e4e4e7">{{ item.name }}</td>'
            '<td align="right" style="padding:8px 0;border-bottom:1px solid #e4e4e7">{{ item.price }}</td></tr>{% endfor %}'
            '<tr><td style="padding:8px 0"><strong>Total</strong></td><td align="right" style="padding:8px 0"><strong>{{ total }}</strong></td></tr>'
            "</table>",
        ),
        "date",
        "items",
        "receipt_number",
        "total",
    ),
    _starter(
        "Team invitation",
        "Invites somebody to a team.",
        "{{ inviter_name }} invites you to {{ team_name }}",
        _page(
            "Join {{ team_name }}",
            "<p>{{ inviter_name }} invites you to work together in {{ team_name }}.</p>",
            ("Accept the invitation", "invite_url"),
            "The invitation is for {{ email }}. If you do not know {{ inviter_name }}, do nothing.",
        ),
        "email",
        "inviter_name",
        "invite_url",
        "team_name",
    ),
)


def _block(number: int, kind: str, **props: object) -> Mapping[str, object]:
    return {"id": f"b{number}", "type": kind, "props": props}


def _visual(name: str, description: str, category: str, *blocks: tuple[str, Mapping[str, object]]) -> StarterDesign:
    return {
        "id": name.lower().replace(" ", "-"),
        "name": name,
        "description": description,
        "category": category,
        "design": {"globalStyles": _STYLES, "blocks": [_block(number, kind, **props) for number, (kind, props) in enumerate(blocks, 1)]},
    }


VISUAL_STARTERS: Final[tuple[StarterDesign, ...]] = (
    _visual(
        "Simple announcement",
        "A title, some text and one button.",
        "announcement",
        ("heading", {"text": "{{ title }}", "level": 1, "align": "center"}),
        ("text", {"text": "{{ body }}", "align": "center"}),
        ("button", {"text": "Read more", "href": "{{ url }}"}),
    ),
    _visual(
        "Newsletter",
        "Two stories side by side under a headline.",
        "newsletter",
        ("heading", {"text": "{{ headline }}", "level": 1}),
        ("text", {"text": "{{ introduction }}"}),
        ("divider", {}),
        (
            "columns",
            {
                "columns": [
                    [_block(10, "heading", text="{{ left_title }}", level=3), _block(11, "text", text="{{ left_text }}")],
                    [_block(12, "heading", text="{{ right_title }}", level=3), _block(13, "text", text="{{ right_text }}")],
                ]
            },
        ),
        ("spacer", {"height": 16}),
        ("social", {"links": [{"network": "website", "url": "{{ website_url }}"}]}),
    ),
    _visual(
        "Receipt",
        "A quiet confirmation of a payment.",
        "transactional",
        ("heading", {"text": "Thank you, {{ first_name }}", "level": 1}),
        ("text", {"text": "We have received {{ amount }} for order {{ order_number }}."}),
        ("divider", {}),
        ("button", {"text": "See the order", "href": "{{ order_url }}", "align": "left"}),
    ),
)
