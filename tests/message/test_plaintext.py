"""The text of HTML."""

import time

from hypothesis import given
from hypothesis import strategies as st

from sendryd.message.plaintext import html_to_text
from sendryd.testing.cases import cases


@cases(
    ("html", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<div>a</div><div><div>b</div></div>", "a\nb"),
        ("<ul><li>one<li>two</ul>after", "- one\n- two\n\nafter"),
        ("<table><tr><td>a<td>b</tr><tr><td>c</table>", "a b\nc"),
        ("x <a href='https://x.test/?a=1&amp;b=2'>here</a>.", "x here (https://x.test/?a=1&b=2)."),
        ("<a href='https://x.test'>https://x.test</a>", "https://x.test"),
        ("<a href='mailto:a@b.test'>a@b.test</a>", "a@b.test"),
        ("<a href='javascript:alert(1)'>x</a>", "x"),
        ("<a href='https://x.test'><img src='a.png' alt='Logo'></a>", "Logo (https://x.test)"),
        ("<style>p{}</style><title>t</title><p>a</p><script>b</script><!-- c -->", "a"),
        ("<div style='display: none'>preheader</div><p hidden>x</p>shown", "shown"),
        ("&lt;b&gt; &amp;&nbsp;  much   space\n\nhere", "<b> & much space here"),
    ],
)
def test_what_people_read_of_html(html: str, text: str) -> None:
    assert html_to_text(html) == text


@cases(
    ("html", "text"),
    [
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<p>x  y</p><pre>\n  a\n\n\n\n b\t c\n</pre><p>after</p>", "x y\n\n  a\n\n\n\n b\t c\n\nafter"),
        ("<pre>a <b>b\n  c</b>\r\n   d</pre>e  f", "a b\n  c\n   d\n\ne f"),
        ("<div style='white-space: pre-wrap'>a\n  b</div>c  d", "a\n  b\nc d"),
        ("<div style='white-space: pre-line'>a   b</div>", "a b"),
        ("<pre>a<br>  b</pre>", "a\n  b"),
        ("<pre>a&#2;\x00\x01b</pre>", "ab"),
    ],
)
def test_preformatted_text_keeps_its_line_ends_and_spaces(html: str, text: str) -> None:
    assert html_to_text(html).replace("\ufffd", "") == text


@given(st.text(alphabet="ab \n\t"))
def test_any_preformatted_text_is_kept(inner: str) -> None:
    kept = inner.removeprefix("\n").removesuffix("\n")  # those next to the tags show no line
    assert html_to_text(f"<p>x</p><pre>|{inner}|</pre>") == f"x\n\n|{inner}|"
    if kept == inner:
        assert html_to_text(f"<pre>{inner}</pre>") == kept


@given(st.text(alphabet="<>/abdivp &;\"'=!-\n"))
def test_any_text_is_read(html: str) -> None:
    html_to_text(html)


@cases("opening", ["", "<div>" * 600], ids=["flat", "deep"])
@cases(
    "piece",
    ["<div>", "<b>", "<a href='http://x'>", "<table><tr><td>", "<!--", "<p", "</div>", "&lt;", "<", "<td></td>", "<img alt=' '>", "<br> "],
)
def test_hostile_documents_take_no_time(opening: str, piece: str) -> None:
    started = time.process_time()
    html_to_text(opening + piece * 50_000)
    assert time.process_time() - started < 5  # the parser alone takes ten times as long for the worst of them
