"""What browsers are told about each kind of page, letter for letter: a looser policy shows as a change here."""

from sendryd.web.headers import (
    BARE_HEADERS,
    FOREIGN_HTML,
    PLAIN_PAGE,
    SCRIPTED_PAGE,
    STATIC_HEADERS,
    ContentPolicy,
    foreign_headers,
    page_headers,
    private_page_headers,
)


def test_the_policies() -> None:
    assert str(PLAIN_PAGE) == "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    assert str(SCRIPTED_PAGE) == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert str(FOREIGN_HTML) == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


def test_a_policy_names_what_it_allows() -> None:
    policy = ContentPolicy(image="a", font="b", connect="c", frame="d", form_action="e", frame_ancestors="f", sandbox="")
    assert str(policy).split("; ") == [
        "sandbox ", "default-src 'none'", "img-src a", "font-src b", "connect-src c", "frame-src d", "base-uri 'none'", "form-action e",
        "frame-ancestors f",
    ]  # fmt: skip


def test_a_page_is_kept_from_other_sites() -> None:
    headers = page_headers(PLAIN_PAGE)
    permissions = headers.pop("Permissions-Policy").split(", ")
    assert headers == {
        "Cache-Control": "no-store",
        "Content-Security-Policy": str(PLAIN_PAGE),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    assert {"camera=()", "microphone=()", "geolocation=()", "payment=()", "usb=()"} <= set(permissions)
    assert all(each.endswith("=()") for each in permissions)
    assert private_page_headers(PLAIN_PAGE) == page_headers(PLAIN_PAGE) | {"X-Robots-Tag": "noindex"}
    assert page_headers(PLAIN_PAGE, cache="no-cache")["Cache-Control"] == "no-cache"


def test_foreign_html_tells_nobody_anything() -> None:
    headers = foreign_headers()
    assert headers["Content-Security-Policy"] == str(FOREIGN_HTML)
    assert headers["X-DNS-Prefetch-Control"] == "off"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["X-Robots-Tag"] == "noindex"
    assert "img-src data: https://a.test/b/; " in foreign_headers("https://a.test/b/")["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Cross-Origin-Opener-Policy" not in headers


def test_the_pixel_may_be_shown_everywhere() -> None:
    assert "Cross-Origin-Resource-Policy" in STATIC_HEADERS
    assert set(BARE_HEADERS) == {"Cache-Control", "Referrer-Policy", "X-Robots-Tag", "X-Content-Type-Options"}
