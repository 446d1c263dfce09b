"""What is in the pages, whatever customers and strangers wrote."""

import base64
import hashlib
import re

import pytest

from sendryd.model.account import Branding
from sendryd.tracking.pages import (
    Page,
    SharedMessage,
    letters_on,
    mask_address,
    render_confirmation,
    render_problem,
    render_shared,
    render_success,
)

PROBE = "\"><img src=x onerror=alert(1)></style></title></script><script>alert(1)</script>{{x}}\u2028</textarea>';--"


def confirmation(branding: Branding, *, list_id: str | None = None) -> Page:
    return render_confirmation(branding, author=PROBE, address=f"{PROBE}@example.org", list_id=list_id)


def pages() -> list[Page]:
    branding = Branding(
        brand_color=PROBE,
        brand_logo="https://logo.example/" + PROBE,
        unsubscribe_heading=PROBE,
        unsubscribe_message=PROBE,
        unsubscribe_redirect_url=PROBE,
        footer_copy=PROBE,
    )
    shared = SharedMessage(subject=PROBE, author=PROBE, to=PROBE, date=PROBE, text=PROBE, frame_path=None, attachments=[(PROBE, 1)])
    return [
        confirmation(branding),
        confirmation(Branding(brand_logo=None)),
        render_success(branding, address=PROBE),
        render_shared(shared),
        render_problem(PROBE, PROBE),
    ]


@pytest.mark.parametrize("page", pages())
def test_what_strangers_wrote_stays_text(page: Page) -> None:
    html = page.html.replace(_style(page), "")
    assert "<script" not in html
    assert "<img src=x" not in html
    assert html.count("</title>") == html.count("</style>") == 1
    assert not re.search(r"<[^>]*\son\w+=", html)
    assert "javascript:" not in html


@pytest.mark.parametrize("page", pages())
def test_the_policy_lets_nothing_in_but_our_own_style(page: Page) -> None:
    digest = base64.b64encode(hashlib.sha256(_style(page).encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in str(page.policy)
    assert str(page.policy).startswith("default-src 'none';")
    assert "unsafe" not in str(page.policy)
    assert "\n" not in str(page.policy)
    assert PROBE not in str(page.policy)
    assert "frame-ancestors 'none'" in str(page.policy)
    assert str(page.policy).isascii()


def _style(page: Page) -> str:
    match = re.search(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("colour", ["#0A6E31", "#fd0"])
def test_a_brand_s_colour(colour: str) -> None:
    assert f"background:{colour};" in _style(confirmation(Branding(brand_color=colour)))


@pytest.mark.parametrize("colour", ["red", "#12345", "#1234567", "#ggg", "", "#fff;}", "url(x)", "#fff\n"])
def test_a_colour_that_is_none_is_replaced(colour: str) -> None:
    assert "background:#111827;" in _style(confirmation(Branding(brand_color=colour)))


def test_letters_can_be_read_on_every_colour() -> None:
    assert [letters_on(each) for each in ("#000", "#111827", "#ff0000", "#fff", "#ffdd00", "#0a6e31")] == [
        "#fff",
        "#fff",
        "#000",
        "#000",
        "#000",
        "#fff",
    ]


def test_a_logo_is_allowed_from_its_own_host_alone() -> None:
    page = confirmation(Branding(brand_logo="https://cdn.example:8443/logo.png?a=1&b=2"))
    assert '<img class="logo" src="https://cdn.example:8443/logo.png?a=1&amp;b=2" alt="">' in page.html
    assert "img-src https://cdn.example:8443;" in str(page.policy)


@pytest.mark.parametrize(
    "logo", ["javascript:alert(1)", "data:image/png;base64,x", "/logo.png", "https://a;script-src *.example/x", "https://*/x"]
)
def test_a_logo_from_nowhere_is_left_out(logo: str) -> None:
    page = confirmation(Branding(brand_logo=logo))
    assert "<img" not in page.html
    assert "img-src 'none';" in str(page.policy)


def test_the_texts_of_a_brand() -> None:
    page = confirmation(Branding(unsubscribe_heading="Leaving?", unsubscribe_message="Line 1\nLine 2", footer_copy="Example Ltd")).html
    assert "<h1>Leaving?</h1><p>Line 1<br>Line 2</p>" in page
    assert "<footer>Example Ltd</footer>" in page


def test_the_page_says_what_one_leaves() -> None:
    assert "Marketing emails from" in confirmation(Branding()).html
    assert "Emails of this list from" in confirmation(Branding(), list_id="news").html


@pytest.mark.parametrize(
    ("address", "shown"), [("bob@example.org", "b…@example.org"), ("a@b@example.org", "a…@example.org"), ("x", "…x"), ("", "…")]
)
def test_addresses_are_masked(address: str, shown: str) -> None:
    assert mask_address(address) == shown
