"""The HTML of strangers, written anew: what stays."""

import pytest

from sendryd.message.framing import MAX_NESTING, MAX_REMOTE, Pictures, Scheme, TooComplex, frame_html, remote_pictures
from sendryd.testing.cases import cases

PICTURE = "data:image/png;base64,iVBORw0KGgo="


def body(html: str) -> str:
    return frame_html(html).decode().partition("<body>")[2].removesuffix("</body></html>")


@cases(
    "html",
    [
        "",
        "text &lt;b&gt; &amp; ü €",
        '<h1 class="a" id="b" align="center">x</h1><p style="color: red">y<br>z</p>',
        '<table width="600" cellpadding="0" bgcolor="#ffffff"><tbody><tr><td colspan="2" valign="top">x</td></tr></tbody></table>',
        '<font color="red" face="Arial" size="2">x</font><center>y</center>',
        '<a href="https://ok.test/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">x</a><a href="#top">y</a>',
        f'<img alt="Logo" width="10" height="20"><img src="{PICTURE}" alt="">',
        "<pre>\n\n  a\n</pre>",
        '<map name="m"><area href="mailto:a@ok.test" target="_blank" rel="noopener noreferrer" shape="rect"></map><img usemap="#m">',
        '<input type="text" value="x" disabled=""><button type="submit">y</button>',
        '<p role="note" aria-label="x" lang="de" dir="rtl">y</p>',
    ],
)
def test_ordinary_mail_stays_as_it_is(html: str) -> None:
    assert body(html) == html


@cases(
    ("html", "left"),
    [
        ("<form action=x>a<textarea>b</textarea></form>", "<div>a<div>b</div></div>"),
        ("<section><custom-tag>a<video>b</video></custom-tag></section>", "<section>ab</section>"),
        ("<noscript><p>a</p></noscript>", "<p>a</p>"),
        ("a<!-- b --><title>c</title><script>d</script><o:p>e</o:p>", "ae"),
        ("<xmp><b></xmp>", "<pre>\n&lt;b&gt;</pre>"),
        ("<img src='cid:a'><img src='https://x.test/'>", "<img><img>"),
        (f"<img src=' {PICTURE[:9]}\n{PICTURE[9:]} '>", f'<img src="{PICTURE}">'),
        ("<a href='/relative'>a</a>", "<a>a</a>"),
        ("<a href=' HTTPS://ok.test '>a</a>", '<a href="HTTPS://ok.test" target="_blank" rel="noopener noreferrer">a</a>'),
        ("\ud83d", "?"),
    ],
)
def test_what_becomes_of_the_rest(html: str, left: str) -> None:
    assert body(html) == left


def test_the_head_s_styles_and_the_body_s_looks_are_kept() -> None:
    html = (
        '<!DOCTYPE html PUBLIC "x"><html lang="en" xmlns="x"><head><title>t</title><style type="text/css">a>b{color:red}</style>'
        '<style media="print">p{}</style><style type="text/less">q{}</style></head>'
        '<body bgcolor="#eee" text="red" style="margin:0;background:#fff url(x)" onload="x"><style>i{}</style>x</body></html>'
    )
    assert frame_html(html).decode() == (
        '<!doctype html><html lang="en"><head><style>a>b{color:red}</style><style media="print">p{}</style><style>i{}</style></head>'
        '<body bgcolor="#eee" text="red" style="margin:0;background:#fff none">x</body></html>'
    )


@pytest.mark.parametrize("html", ["<p>" * 5_001, "<br>" * 100_001, f"<p {' '.join(f'a{number}' for number in range(201))}>"])
def test_a_document_that_is_too_large_for_the_parser_is_refused(html: str) -> None:
    with pytest.raises(TooComplex):
        frame_html(html)


def test_pictures_of_the_message_are_at_their_parts() -> None:
    pictures = Pictures(base="t/part/", inline={"a b@x": 3})
    html = '<img src="CID:a%20b@x"><img src="cid:other"><img src="https://x.test/1">'
    assert b'<img src="t/part/3"><img><img>' in frame_html(html, pictures)
    assert b"<img><img><img>" in frame_html(html)


def test_pictures_from_elsewhere_are_numbered_and_those_that_count_readers_are_left_out() -> None:
    html = (
        "<img src='https://x.test/a'><img src=' http://x.test/b '><img src='https://x.test/a'><img src='//x.test/c'><img src='ftp://x.test/d'>"
        "<img src='https://x.test/e' width=1 height=1><img src='https://x.test/f' height='0px'><img src='https:///g'>"
    )
    urls = remote_pictures(html)
    assert urls == ["https://x.test/a", "http://x.test/b"]
    framed = frame_html(html, Pictures(base="t/part/", is_remote_shown=True)).decode()
    first, second = ('<img src="t/part/remote-0">', '<img src="t/part/remote-1">')
    assert first + second + first + "<img><img>" in framed
    assert framed.count("t/part/") == 3
    assert len(remote_pictures("".join(f"<img src='https://x.test/{number}'>" for number in range(MAX_REMOTE + 5)))) == MAX_REMOTE


def test_deep_nesting_is_cut_and_its_text_is_kept() -> None:
    framed = frame_html("<div>" * 3_000 + "deep" + "</div>" * 3_000 + "<p>after</p>").decode()
    assert framed.count("<div>") == framed.count("</div>") == MAX_NESTING
    assert "deep" in framed
    assert "</div><p>after</p></body>" in framed


def test_questions_for_the_colour_scheme_are_answered_in_the_document() -> None:
    html = "<style>@media ( Prefers-Color-Scheme : DARK ){p{}}</style><style media='(prefers-color-scheme:light)'>q{}</style>"
    assert "prefers-color-scheme:light" in frame_html(html).decode()
    dark = frame_html(html, scheme=Scheme.DARK).decode()
    assert "@media (min-width:0){p{}}" in dark
    assert '<style media="(max-width:0)">' in dark
    assert "<style>:root{color-scheme:dark!important}</style></head>" in dark
