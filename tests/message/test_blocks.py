"""Designs of blocks become HTML."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.message.blocks import MAX_BLOCKS, TYPES, BlockError, check_design, compile_blocks
from sendryd.message.plaintext import html_to_text
from sendryd.message.starters import STARTERS, VISUAL_STARTERS
from sendryd.message.template import render, variable_names
from sendryd.testing.cases import cases


def design(*blocks: dict[str, Any], **styles: Any) -> dict[str, Any]:
    return {"globalStyles": styles, "blocks": list(blocks)}


def block(kind: str, **props: Any) -> dict[str, Any]:
    return {"id": "one", "type": kind, "props": props}


def test_each_type_of_block_is_shown() -> None:
    html = compile_blocks(
        design(
            block("heading", text="Title & more", level=1),
            block("text", text="Line one\nline <two> {{ name }}"),
            block("image", src="https://x.test/a.png", alt='An "A"', href="https://x.test"),
            block("button", text="Press", href="{{ url }}"),
            block("divider"),
            block("spacer", height="30px"),
            block("columns", columns=[[block("text", text="left")], {"blocks": [block("text", text="right")]}]),
            block("section", blocks=[block("text", text="inside")], backgroundColor="#eeeeee"),
            block("social", links=[{"network": "mastodon", "url": "https://m.test"}]),
            block("youtube", url="https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=1"),
            contentWidth=640,
        )
    )
    text = html_to_text(html)
    for part in ("Title & more", "line <two> {{ name }}", 'An "A"', "Press", "left", "right", "inside", "Mastodon"):
        assert part in text
    assert 'href="{{ url }}"' in html
    assert "vi/dQw4w9WgXcQ/" in html
    assert 'width="640"' in html


@cases(
    ("bad", "said"),
    [
        ({}, "blocks, a list"),
        (design(block("marquee")), "type is one of"),
        (design(block("button", text="x", href="javascript:alert(1)")), "block one: href"),
        (design(block("button", text="x")), "block one: href"),
        (design(block("image", src="data:text/html,x")), "block one: src"),
        (design(block("heading", text="x", color="red;background:url(x)")), "block one: color"),
        (design(block("heading", text="x", level=9)), "from 1 to 4"),
        (design(block("heading", text={"a": 1})), "text is a text"),
        (design(block("spacer", height=1e9)), "from 1 to 400"),
        (design(block("columns", columns=[[]] * 9)), "1 to 4 lists"),
        (design({"id": 1, "type": "text", "props": [1]}), "props is an object"),
        (design({"id": 1, "type": "text", "props": ""}), "props is an object"),
        (design({"id": 1, "type": ["text"]}), "block 1: its type"),
        (design(block("text", align={"to": "left"})), "align is left, center or right"),
        ({"globalStyles": 0, "blocks": []}, "globalStyles, an object"),
        (design(linkColor={}), "linkColor is a colour"),
        (design(bodyBackgroundColor=False), "bodyBackgroundColor is a colour"),
        (design(fontFamily=5), "fontFamily"),
        (design(block("text", align=0)), "align is left, center or right"),
        (design("text"), "each block is an object"),  # type: ignore[arg-type]
        (design(contentWidth=10), "320 to 900"),
        (design(fontFamily='x"><script>'), "fontFamily"),
        (design(*[block("divider")] * (MAX_BLOCKS + 1)), "at most"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(bad: dict[str, Any], said: str) -> None:
    with pytest.raises(BlockError, match=said):
        check_design(bad)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.sampled_from(sorted(TYPES)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "props", "blocks", "url"]), inner, max_size=3)
    ),
    max_leaves=8,
)
PROPS = (
    "text",
    "level",
    "align",
    "color",
    "fontSize",
    "src",
    "href",
    "width",
    "height",
    "columns",
    "blocks",
    "links",
    "videoId",
    "padding",
)


@given(st.sampled_from(sorted(TYPES)) | JSON, JSON | st.dictionaries(st.sampled_from(PROPS), JSON, max_size=4), JSON)
def test_any_json_is_a_design_or_refused_with_a_sentence(kind: Any, props: Any, styles: Any) -> None:
    for bad in ({"globalStyles": styles, "blocks": [{"type": kind, "props": props}]}, {"blocks": styles}):
        try:
            assert compile_blocks(bad).endswith("</html>\n")
        except BlockError as error:
            assert str(error)


def test_what_is_left_open_is_the_default() -> None:
    usual = compile_blocks(design(block("button", href="https://x.test")))
    open_props = {"align": "", "textAlign": None, "backgroundColor": "", "color": None}
    styles = {"linkColor": "", "fontFamily": None, "contentWidth": None}
    assert compile_blocks(design(block("button", href="https://x.test", **open_props), **styles)) == usual


def test_a_hostile_address_of_a_video_takes_no_time() -> None:
    started = time.process_time()
    with pytest.raises(BlockError, match="address of one"):
        compile_blocks(design(block("youtube", url="v=aaaaaa?" * 3000 + "\nx")))
    assert time.process_time() - started < 1


def test_depth_is_limited() -> None:
    inner = block("text", text="deep")
    for _ in range(10_000):
        inner = block("section", blocks=[inner])
    with pytest.raises(BlockError, match="deep in one another"):
        compile_blocks(design(inner))


@given(st.sampled_from(sorted(TYPES)), st.text())
def test_no_text_breaks_out_of_its_place(kind: str, text: str) -> None:
    props = dict.fromkeys(("text", "alt", "title", "network"), text) | {
        "src": "https://x.test",
        "href": "https://x.test",
        "videoId": "abcdefg",
    }
    props |= {"links": [{"network": text, "url": "https://x.test"}], "columns": [[]]}  # type: ignore[dict-item]
    html = compile_blocks(design(block(kind, **props)))
    assert "<script" not in html.lower()
    assert html.count("</html>") == 1


@cases("starter", STARTERS, ids=lambda each: each["id"])
def test_starters_are_rendered_with_the_variables_that_they_name(starter: dict[str, Any]) -> None:
    assert set(variable_names(starter["html"]) + variable_names(starter["subject"])) == set(starter["variables"])
    values = {name: [] if name == "items" else f"value-of-{name}" for name in starter["variables"]}
    html = render(starter["html"], values, is_html=True)
    assert "{{" not in html
    assert html_to_text(html)


@pytest.mark.parametrize("starter", VISUAL_STARTERS, ids=lambda each: each["id"])
def test_visual_starters_are_compiled(starter: dict[str, Any]) -> None:
    assert variable_names(compile_blocks(starter["design"]))


@cases(
    ("faulty", "sentence"),
    [
        (block("spacer", height="tall"), "height is a number"),
        (block("spacer", height=10**9), "height is a number from"),
        (block("section", blocks={"a": 1}), "blocks is a list"),
        (block("social", links=["https://m.test"]), "links is a list of objects"),
        (block("social", links="https://m.test"), "links is a list of objects"),
        (block("youtube", url="https://example.test/watch"), "videoId is the id of a video"),
    ],
)
def test_a_fault_of_a_block_is_named(faulty: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BlockError, match=sentence):
        compile_blocks(design(faulty))


def test_an_image_need_not_lead_anywhere() -> None:
    html = compile_blocks(design(block("image", src="https://x.test/a.png", alt="A", href="")))
    assert 'src="https://x.test/a.png"' in html
    assert "<a " not in html


def test_a_link_with_many_variables_and_a_bad_end_is_refused_at_once() -> None:
    block = {"id": "a", "type": "button", "props": {"text": "x", "href": "https://x.test/" + "{{a}}" * 5_000 + '"'}}
    started = time.process_time()
    with pytest.raises(BlockError, match="href is a URL"):  # before: each variable matched in two ways, 2**5000 in all
        compile_blocks({"blocks": [block]})
    block["props"] = {"text": "x", "href": "https://x.test/{{ a name }}/{{{{b}}" + "{" * 50_000}
    compile_blocks({"blocks": [block]})
    assert time.process_time() - started < 2
