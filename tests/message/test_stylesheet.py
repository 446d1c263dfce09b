"""Stylesheets without what they fetch."""

import re
import time

from hypothesis import example, given
from hypothesis import strategies as st

from sendryd.message.stylesheet import remove_fetches
from sendryd.testing.cases import cases

PICTURE = "data:image/png;base64,iVBORw0KGgo="


@cases(
    "css",
    [
        "",
        "color: red; background: #fff",
        "a:hover > b ~ c { color: rgb(1, 2, 3); width: calc(100% - (2 * 4px)) }",
        "@media only screen and (max-width: 600px) { .a\\:b { display: none !important } }",
        "@media(max-width:600px){table[class='x']{width:100%!important}}",
        "@supports (display: grid) { a { background: linear-gradient(90deg, rgba(0,0,0,.5) 0%, #fff) } }",
        "@keyframes x { from { opacity: 0 } to { opacity: 1 } }",
        "td:not(.x):nth-child(2n+1) { font-family: 'Segoe UI', \"Arial\" }",
        f'a {{ background: url("{PICTURE}") no-repeat }}',
        "a { content: 'url(x)' }",
        "u + .body { margin: 0 } #outlook a { padding: 0 } .ExternalClass * { line-height: 100% }",
        "a { color: #fff\\9; *zoom: 1 }",
    ],
)
def test_harmless_styles_stay_as_they_are(css: str) -> None:
    assert remove_fetches(css) == css


@cases(
    ("css", "left"),
    [
        ("background: #fff url(http://x.test/a.png) repeat-x", "background: #fff none repeat-x"),
        ("background: url('http://x.test/;a)b') red", "background: none red"),
        ("background: URL( //x.test ) red", "background: none red"),
        (r"background: \75\72\6C(http://x.test) red", "background: none red"),
        (r"background: u\72 l(http://x.test/\)a) red", "background: none red"),
        ("background: image-set('http://x.test' 1x, url(\")\") 2x) red", "background: none red"),
        ("background: -webkit-image-set(url(//x.test) 1x); color: red", "background: none; color: red"),
        ("background: cross-fade(url(a), url(b), 50%), src('//x.test')", "background: none, none"),
        ("filter: progid:DXImageTransform.Microsoft.AlphaImageLoader(src='//x.test')", "filter: progid:DXImageTransform.Microsoft.none"),
        ("width: expression(alert(1))", "width: none"),
        ("behavior: url(#x); -moz-binding: url(//x.test)", "behavior: none; -moz-binding: none"),
        ("background: url(data:image/svg+xml;base64,AAAA)", "background: none"),
        ("background: url(data:text/html,x)", "background: none"),
        (f"background: url( {PICTURE} )", f'background: url("{PICTURE}")'),
        ("u/*x*/rl(//x.test)", "u/**/none"),
        ("--a: url(//x.test); b: var(--a)", "--a: none; b: var(--a)"),
        ("a{b:calc(1px + url(//x.test))}", "a{b:calc(1px + none)}"),
        ('@import "//x.test"; p{color:red}', "/**/ p{color:red}"),
        ("@import url(//x.test;a) screen;p{color:red}", "/**/p{color:red}"),
        (r"@\69mport '//x.test';p{color:red}", "/**/p{color:red}"),
        ("@IMPORT/**/'//x.test';p{color:red}", "/**/p{color:red}"),
        ("@font-face{font-family:x;src:url(//x.test)}p{color:red}", "/**/p{color:red}"),
        ("@media print{@import '//x.test';p{color:red}}q{color:red}", "@media print{/**/p{color:red}}q{color:red}"),
        ("@namespace x '//x.test'", "/**/"),
        ("@media print{@import '//x.test'}p{color:red}", "@media print{/**/}p{color:red}"),
        ("@@x;import '//x.test'", "@/**/import '//x.test'"),
        ("a{content:'\nb:url(//x.test)'}", "a{content:'\nb:none/**/"),
        ("a{content:'\\\nurl(x)'}", "a{content:'\\\nurl(x)'}"),
        ("a{content:'</style>'}", "a{content:'<\\/style>'}"),
        ("</style>", "< /style>"),
        ("/* </style> @import 'x' */a{}", "/**/a{}"),
        ("a{}/* never closed url(", "a{}/**/"),
        ("a{b:url(//x.test", "a{b:none"),
        ("a{b:url(//x.test\\", "a{b:none"),
        ("a{b:u\0rl(//x.test)}", "a{b:none}"),
    ],
)
def test_what_fetches_is_gone_and_the_rest_stays(css: str, left: str) -> None:
    assert remove_fetches(css) == left


FRAGMENTS = st.sampled_from(
    ["url(", "//x.test", ")", "(", "{", "}", "'", '"', "\\", "\n", " ", ";", "@import", "@", "import", "u", "rl(", "/*", "*/", "/", "<", "\\75 ",
     "rgb(", "a", ":", "image-set(", "@media", "style", "\0", "--", PICTURE]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=30).map("".join))
@example("\\@import")
@example("url()rgb(")
@example("url()(")
@example("</*/*/*")
@example("\\\\@import")
def test_nothing_comes_back_when_it_is_done_twice(css: str) -> None:
    once = remove_fetches(css)
    assert "</" not in once
    assert remove_fetches(once) == once
    # An escaped @ begins a name (CSS Syntax Level 3 §4.3.4), not a rule.
    unquoted = re.sub(r'\\[\\@]|/\*\*/|"(?:[^"\\\n\r\f]|\\.)*"?|' + r"'(?:[^'\\\n\r\f]|\\.)*'?", '""', once, flags=re.DOTALL)
    assert not re.search(r'url\((?!"")|image-set|@import', unquoted)


@cases(
    "css",
    ["a(" * 50_000, "url(" * 50_000, "/*" * 50_000, '"\\' * 50_000, "url(" + " " * 100_000, "url( '" * 30_000, "a{b:url(x) foo(bar(baz}" * 5_000,
     "@x{" * 30_000, "@x(" * 30_000, "\\" * 100_000, "url('x\n" * 20_000, "url(x" + " " * 50_000 + "y" * 50_000]
)  # fmt: skip
def test_a_hostile_sheet_takes_linear_time(css: str) -> None:
    start = time.process_time()
    remove_fetches(css)
    assert time.process_time() - start < 2
