"""Links are replaced as a browser would find them, and no other letter of the document is touched."""

import re
import time
from collections.abc import Callable

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from sendryd.message.links import MAX_STEPS, rewrite_html
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

PIXEL = '<img src="https://t.test/o?a=1&amp;b=2" width="1" height="1" alt="" style="display:none">'
PIXEL_URL = "https://t.test/o?a=1&b=2"


def wrap(url: str) -> str:
    return f"https://t.test/c?u={len(url)}&x=\"'<>"


WRAPPED = re.compile(r"https://t\.test/c\?u=[0-9]+&amp;x=&quot;&#x27;&lt;&gt;")


def asked(html: str) -> list[str]:
    """The URLs that the function is asked about."""
    urls: list[str] = []

    def note(url: str) -> None:
        urls.append(url)

    assert rewrite_html(html, wrap=note, pixel_url=None) == html
    return urls


@cases(
    ("html", "expected"),
    [
        ('<a href="http://x.test/">x</a>', '<a href="NEW">x</a>'),
        ("<a href='https://x.test/'>x</a>", "<a href='NEW'>x</a>"),
        ("<a href=https://x.test/>x</a>", '<a href="NEW">x</a>'),
        ("<a href=https://x.test>x</a>", '<a href="NEW">x</a>'),
        ('<A  CLASS=b\n HREF = "HTTPS://x.test/"  ID="c" >x</A >', '<A  CLASS=b\n HREF = "NEW"  ID="c" >x</A >'),
        ('<a title="1 > 0" href="http://x.test/">', '<a title="1 > 0" href="NEW">'),
        ('<a title=it\'s href="http://x.test/">', '<a title=it\'s href="NEW">'),
        ('<a href="  http://x.test/ ">', '<a href="NEW">'),
        ('<map><area shape="rect" href="http://x.test/"/></map>', '<map><area shape="rect" href="NEW"/></map>'),
        ('<a/href="http://x.test/"/>', '<a/href="NEW"/>'),
        ('<a\fhref="http://x.test/"\r\n>', '<a\fhref="NEW"\r\n>'),
        ('<a href="http://x.test/"id="b">', '<a href="NEW"id="b">'),
        ('<a href="http://x.test/1" href="http://x.test/2">', '<a href="NEW" href="http://x.test/2">'),
        ('<!--[if !mso]><!--><a href="http://x.test/">x</a><!--<![endif]-->', '<!--[if !mso]><!--><a href="NEW">x</a><!--<![endif]-->'),
        ('<![if !mso]><a href="http://x.test/">x</a><![endif]>', '<![if !mso]><a href="NEW">x</a><![endif]>'),
        ('<!DOCTYPE html><?xml x?></ x><!--> <a href="http://x.test/">', '<!DOCTYPE html><?xml x?></ x><!--> <a href="NEW">'),
        ('<!-- a --!><a href="http://x.test/">', '<!-- a --!><a href="NEW">'),
        ('<title>a < b</title><a href="http://x.test/">', '<title>a < b</title><a href="NEW">'),
        ('<script>"</scripts>"</SCRIPT ><a href="http://x.test/">', '<script>"</scripts>"</SCRIPT ><a href="NEW">'),
        ('1 < 2 <3 < a href="http://x.test/" <a href="http://x.test/">', '1 < 2 <3 < a href="http://x.test/" <a href="NEW">'),
        ('<a href="http://x.test/"><svg><a href="http://y.test/"></svg>', '<a href="NEW"><svg><a href="NEW"></svg>'),
        ('<base href="http://x.test/"><a href="/r"><a href="http://x.test/a">', '<base href="http://x.test/"><a href="/r"><a href="NEW">'),
    ],
)
def test_which_links_are_replaced(html: str, expected: str) -> None:
    assert WRAPPED.sub("NEW", rewrite_html(html, wrap=wrap, pixel_url=None)) == expected


@cases(
    "html",
    [
        "", "text", '<a name="x">', "<a>", "<a href>", '<a href="">', "<a href=>", '<a href="mailto:a@b.test">', '<a href="tel:+1">', '<a href="#top">',
        '<a href="javascript:alert(1)">', '<a href="data:text/html,x">', '<a href="cid:logo">', '<a href="ftp://x.test/">', '<a href="//x.test/">',
        '<a href="/x">', '<a href="x/http://y.test">', r'<a href="https:\\x.test">', '<a href="https:/x.test">', '<a href="https:///x.test">',
        '<a href="{{url}}">', '<a xhref="http://x.test/">', '<a data-href="http://x.test/">', '<a xlink:href="http://x.test/">',
        '<link href="http://x.test/">', '<img src="http://x.test/">', '<form action="http://x.test/">', '<abbr href="http://x.test/">',
        '<a href="http://x.test/" data-sendry-no-track>', '<a data-sendry-no-track="" href="http://x.test/">', "<a DATA-Sendry-No-Track href=http://x.test/>",
        '<!-- <a href="http://x.test/"> -->', '<!--[if mso]><a href="http://x.test/">x</a><![endif]-->', '<!-- <a href="http://x.test/">',
        '<script>"<a href=\\"http://x.test/\\">"</script>', '<style><a href="http://x.test/"></style>', '<textarea><a href="http://x.test/"></textarea>',
        '<title><a href="http://x.test/"></title>', '<plaintext><a href="http://x.test/">', '<xmp><a href="http://x.test/"></xmp>',
        "<img alt='<a href=\"http://x.test/\">'>", "<p title=\"<a href='http://x.test/'>\">", '</a href="http://x.test/">', '<! <a href="http://x.test/">',
        '<a href="http://x.test/', '<a href="http://x.test/"', "<a href='http://x.test/", "<a href=http://x.test/", '<p title="<a href=\'http://x.test/\'>',
        '< a href="http://x.test/">', '<a ="x" =href="http://x.test/">', '<a title=">" \'href="http://x.test/">', "<a b='c' d=e\" href='mailto:x'>",
        "&lt;a href=&quot;http://x.test/&quot;&gt;", "http://x.test/", '<a href="http://"', '<a href="http://">', "<script><a href='http://x.test/'>",
    ],
)  # fmt: skip
def test_what_is_left_alone(html: str) -> None:
    assert rewrite_html(html, wrap=wrap, pixel_url=None) is html


@cases(
    ("href", "url"),
    [
        ("http://x.test/?a=1&amp;b=2", "http://x.test/?a=1&b=2"),
        ("http://x.test/?a=1&b=2", "http://x.test/?a=1&b=2"),
        ("http://x.test/?a=1&copy=2&reg=3&lt=4", "http://x.test/?a=1&copy=2&reg=3&lt=4"),  # as browsers have it
        ("http://x.test/?a=1&copy;=2", "http://x.test/?a=1©=2"),
        ("http://x.test/?a&amp", "http://x.test/?a&"),
        ("http://x.test/?a&notit;&nsub;&nothing;", "http://x.test/?a&notit;⊄&nothing;"),
        ("http://x.test/&#47;&#x2f;&#X2F&#47x", "http://x.test/////x"),
        ("http://x.test/&#0;&#99999999999;&#" + "9" * 5000 + ";", "http://x.test/\ufffd\ufffd\ufffd"),
        ("&#104;ttp://x.test/", "http://x.test/"),
        ("http://x.\n test/\r\n\ta", "http://x. test/a"),
        ("\u00a0http://x.test/", None),
        ("http://x.test/%2F?q=%20#f", "http://x.test/%2F?q=%20#f"),
        ("https://müller.test/ü", "https://müller.test/ü"),
        ("http://x.test/{{ id }}", "http://x.test/{{ id }}"),
        ("http://x.test/" + "y" * 8000, "http://x.test/" + "y" * 8000),
    ],
)
def test_the_url_that_is_asked_about(href: str, url: str | None) -> None:
    assert asked(f'<a href="{href}">x</a>') == ([] if url is None else [url])


def test_links_are_asked_about_in_order_and_one_by_one() -> None:
    html = '<a href="http://x.test/1">a</a><a href="http://x.test/2">b</a><a href="http://x.test/1">c</a>'
    answers = iter(["https://t.test/1", None, "https://t.test/3"])
    changed = rewrite_html(html, wrap=lambda _: next(answers), pixel_url=None)
    assert changed == '<a href="https://t.test/1">a</a><a href="http://x.test/2">b</a><a href="https://t.test/3">c</a>'


@cases(
    ("html", "expected"),
    [
        ("", "P"),
        ("<p>x</p>", "<p>x</p>P"),
        ("<html><body>x</body></html>\n", "<html><body>xP</body></html>\n"),
        ("<BODY>x</BODY\n></HTML>", "<BODY>xP</BODY\n></HTML>"),
        ("<html>x</html>y", "<html>xP</html>y"),
        ("a</body>b</body>c", "a</body>bP</body>c"),
        ("<body>x</body><!-- </body> -->", "<body>xP</body><!-- </body> -->"),
        ('<body>x</body><script>"</body>"</script>', '<body>xP</body><script>"</body>"</script>'),
        ('<body>x</body><p title="</body>">', '<body>xP</body><p title="</body>">'),
        ("<body>x</bodyguard></html>", "<body>x</bodyguard>P</html>"),
        ("<body>x<!-- never closed </body>", "<body>xP<!-- never closed </body>"),
        ("<body>x<style>p {}", "<body>xP<style>p {}"),
        ("<body>x<a href='http://y", "<body>xP<a href='http://y"),
        ("x<plaintext></body>", "xP<plaintext></body>"),
        ("x</body", "xP</body"),
        ("x < y", "x < yP"),
        ('<a href="http://x.test/"></a></body>', '<a href="http://x.test/"></a>P</body>'),
    ],
)
def test_where_the_pixel_stands(html: str, expected: str) -> None:
    assert rewrite_html(html, wrap=None, pixel_url=PIXEL_URL).replace(PIXEL, "P") == expected


def test_links_and_pixel_together() -> None:
    html = '<body><a href="http://x.test/">x</a></body><a href=http://y.test>'
    changed = rewrite_html(html, wrap=lambda url: url.replace(".test", ".new"), pixel_url=PIXEL_URL)
    assert changed == f'<body><a href="http://x.new/">x</a>{PIXEL}</body><a href="http://y.new">'


def hrefs(html: str) -> list[str]:
    """What the parser of a browser engine finds."""
    nodes = LexborHTMLParser(html).css("a, area")
    return [href for node in nodes if (href := node.attributes.get("href")) and re.match(r"https?://", href)]


# No `<` in values but in quotes, no `select`, `template` and the like: there, trees differ from tokens.
TOKENS = [
    '<a href="http://x.test/?a&amp;b">', "<a href='http://x.test/c'>", "<a href=http://x.test/d>", "</a>", "<p>", "</p>", "<br/>", "<b x='y' z>",
    "text", " ", '<img alt="<a href=http://n.test>">', "<!-- <a href='http://n.test'> -->", "<!-->", "<script>'<a href=http://n.test>'</script>",
    "<", ">", "&lt;", "é", "<a title='\"' href=\"http://x.test/e\" id=f>", "<a href = http://x.test/g/ b>", "<a\nhref='http://x.test/h'/>",
    '<a b=c"d href="http://x.test/i">', "<!x>", "<?y>", "<title><a href='http://n.test'></title>", "<style>a{}</style>", '"', "'", "=",
    '<a ="q" href="http://x.test/j">', "</ z>", "<a b='c'd='e'href='http://x.test/k'>", "<p a=1 b='2' c>", '<p a="1"b>', "<p / x='>' />",
    "<p " + "a='1' " * 14 + ">", "<a " + "a='1' " * 14 + "href='http://x.test/l'>", "</p a='>'>",
]  # fmt: skip


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join))
def test_a_browser_finds_the_same_links(html: str) -> None:
    document = f"<!DOCTYPE html><body>{html}"
    assert sorted(set(asked(document))) == sorted(set(hrefs(document)))
    changed = rewrite_html(document, wrap=lambda url: url.replace("x.test", "new.test"), pixel_url=None)
    assert "".join(hrefs(changed)) == "".join(hrefs(document)).replace("x.test", "new.test")


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join) | st.text("<a/>='\" !-href:tp", max_size=60) | st.text(max_size=60))
def test_what_was_put_in_is_all_that_changed(html: str) -> None:
    assume("\ue000" not in html)
    changed = rewrite_html(html, wrap=lambda _: "\ue000", pixel_url=PIXEL_URL)
    assert changed.count(PIXEL) == 1
    pieces = [re.escape(piece) for piece in changed.replace(PIXEL, "").split("\ue000")]
    pieces = [re.sub('^"|"$', '"?', piece) for piece in pieces]  # a URL without quotation marks gets some
    assert re.fullmatch("[^<>]*?".join(pieces), html)


def unchanged(_: str) -> None:
    return None


LARGE = 300_000


@cases(
    ("html", "function"),
    [
        ('<a href="http://x.test/">x</a>' * (LARGE // 10), wrap),
        ("<a " * LARGE, wrap), ("<!-- " * LARGE, wrap), ("<!-- --!" * LARGE, wrap), ("<!-- -->" * (LARGE // 2), wrap),
        ("<a " + "b " * LARGE + ">", wrap),
        ("<a " + "b=c'" * LARGE + ">", wrap), ('<a href="http://x.test/' + "y" * 10 * LARGE, wrap), ("<a" + " " * 3 * LARGE, wrap),
        (("<a x" + " " * 1000 + "'") * 3000, wrap), ("<p" + ' ="' * LARGE, wrap), ("<script>" * LARGE, wrap), ("<script></script " * (LARGE // 10), wrap),
        ('<a href="http://x.test/' + "&a" * LARGE + '">', unchanged), ('<a href="http://x.test/&' + "a" * LARGE + '=">', unchanged),
        ("<" * 3 * LARGE, wrap), ("<p a='x' b" * (LARGE // 3), wrap), ("<p" + " a='x'" * (LARGE // 2) + ">", wrap),
        (("<p" + " a='x'" * 20 + ">") * 6_000, wrap),
        ("<" + "a" * 3 * LARGE, wrap), ("<a href=x " * (LARGE // 3), wrap), ("</" * LARGE, wrap), ("</body>" * (LARGE // 3), wrap),
        ("<p a=b c='d'>" * (LARGE // 10), wrap),
    ],
)  # fmt: skip
def test_hostile_documents_take_linear_time(html: str, function: Callable[[str], str | None]) -> None:
    started = time.process_time()
    rewrite_html(html, wrap=function, pixel_url=PIXEL_URL)
    assert time.process_time() - started < 3  # quadratic work on these takes many times as long


def test_a_document_of_many_links_is_rewritten_up_to_a_limit() -> None:
    html = '<a href="http://a.test/">x</a>' * (MAX_STEPS + 1)
    rewritten = rewrite_html(html, wrap=lambda _: "http://b.test/", pixel_url="http://c.test/")
    count = rewritten.count("b.test")
    assert MAX_STEPS // 3 < count <= MAX_STEPS
    assert rewritten.count("<img") == 1
    assert rewritten.endswith('<a href="http://a.test/">x</a>')


def test_a_tag_of_too_many_attributes_and_all_behind_it_stay() -> None:
    html = "<b ' " + "a " * (MAX_STEPS + 1) + '><a href="http://a.test/">x</a>'
    assert rewrite_html(html, wrap=lambda _: "http://b.test/", pixel_url=None) is html
