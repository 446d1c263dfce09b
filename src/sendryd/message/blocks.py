"""Compiles a design of blocks into HTML for mail: tables and inline styles, which all mail programs support. Pure.

A design has `globalStyles` and a list of `blocks`, each with an `id`, a `type` and `props`. Variables in `{{…}}` stay in place. What each type
takes (all of it optional but where said; unknown properties are left aside):

- heading: `text`, `level` (1 to 4), `align`, `color`
- text: `text` (or `html`, which is trusted), `align`, `color`, `fontSize`
- image: `src` (required), `alt`, `href`, `width`, `align`
- button: `text`, `href` (required), `backgroundColor`, `color`, `borderRadius`, `align`
- divider: `color`, `thickness`
- spacer: `height`
- columns: `columns`, a list of lists of blocks
- section: `blocks`, `backgroundColor`, `padding`
- social: `links`, a list of `network` and `url`; `align`
- youtube: `videoId` or `url` (required), `title`
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

MAX_BLOCKS: Final = 500  # in the whole design: ten times more than any mail has
MAX_DEPTH: Final = 5  # nesting of sections and columns
MIN_WIDTH: Final = 320  # pixels: a telephone
MAX_WIDTH: Final = 900  # mail programs cut off wider designs
MAX_COLUMNS: Final = 4  # more cannot be read on a telephone
TYPES: Final = frozenset({"heading", "text", "image", "button", "divider", "spacer", "columns", "social", "section", "youtube"})
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{3,8}|[A-Za-z]{3,20}|rgba?\([0-9., %]{5,40}\)", re.ASCII)
_FONT: Final = re.compile(r"[A-Za-z0-9 ,'\"-]{1,200}", re.ASCII)
_VARIABLE: Final = r"\{\{[^{}<>\"]*\}\}"
# A bracket that begins a variable is no letter of its own: else each variable could be matched in two ways, and n of them in 2**n.
_URL: Final = re.compile(rf"(?:https?://|mailto:|tel:|{_VARIABLE})(?:{_VARIABLE}|(?!{_VARIABLE})[^\x00-\x20\"<>])*", re.IGNORECASE)
MAX_VIDEO: Final = 500  # characters of a video's URL: real ones are short, and the search for the id takes time quadratic in it
_VIDEO: Final = re.compile(r"(?:.*(?:v=|youtu\.be/|embed/|shorts/))?([A-Za-z0-9_-]{6,20})(?:[?&].*)?", re.ASCII)
_ALIGNS: Final = frozenset({"left", "center", "right"})
_SIZES: Final = {1: 28, 2: 22, 3: 18, 4: 16}
_DEFAULTS: Final = {
    "bodyBackgroundColor": "#f4f4f5",
    "contentBackgroundColor": "#ffffff",
    "contentWidth": 600,
    "fontFamily": "Helvetica, Arial, sans-serif",
    "linkColor": "#2563eb",
}

_EMPTY: Final = (None, "")  # an editor's empty field: the default applies

Props = Mapping[str, Any]


class BlockError(ValueError):
    """A design cannot be compiled. The message is one sentence that names the block."""


def check_design(design: Mapping[str, Any]) -> None:
    """Checks that a design can be compiled. Raises `BlockError`."""
    compile_blocks(design)


def compile_blocks(design: Mapping[str, Any]) -> str:
    """The HTML document of a design. Raises `BlockError`."""
    given = _props(design, "globalStyles")
    blocks = design.get("blocks")
    if given is None or not _is_list(blocks):
        raise BlockError("a design has globalStyles, an object, and blocks, a list")
    styles = {**_DEFAULTS, **{name: value for name, value in given.items() if value is not None}}
    width = styles["contentWidth"]
    if isinstance(width, bool) or not isinstance(width, int | float) or not MIN_WIDTH <= width <= MAX_WIDTH:
        raise BlockError(f"globalStyles.contentWidth is a number from {MIN_WIDTH} to {MAX_WIDTH}")
    body, content, link = (_color(styles, name, _DEFAULTS[name]) for name in ("bodyBackgroundColor", "contentBackgroundColor", "linkColor"))
    font = styles["fontFamily"]
    if not isinstance(font, str) or not _FONT.fullmatch(font):
        raise BlockError("globalStyles.fontFamily is a list of names of fonts")
    compiler = _Compiler(link, int(width))
    rows = compiler.rows(blocks, 0)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light"><title></title></head>\n'
        f'<body style="margin:0;padding:0;background-color:{body}">\n'
        f'<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="background-color:{body}">'
        '<tr><td align="center" style="padding:24px 12px">\n'
        f'<table role="presentation" width="{int(width)}" cellpadding="0" cellspacing="0" border="0" '
        f'style="width:100%;max-width:{int(width)}px;background-color:{content};font-family:{escape(font)};color:#18181b">\n'
        f"{rows}</table>\n</td></tr></table>\n</body></html>\n"
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _props(holder: Mapping[str, Any], name: str) -> Props | None:
    """An optional object; None if the value is not an object."""
    value = holder.get(name)
    found = {} if value is None else value
    return found if isinstance(found, Mapping) else None


def _color(props: Props, name: str, default: Any) -> str:
    value = default if props.get(name) in _EMPTY else props[name]
    if not isinstance(value, str) or not _COLOR.fullmatch(value):
        raise BlockError(f"{name} is a colour such as #2563eb")
    return value


def _number(props: Props, name: str, default: int, least: int, most: int) -> int:
    value = props.get(name)
    if isinstance(value, str):
        value = value.removesuffix("px")
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else None
        if value is None:
            raise BlockError(f"{name} is a number")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BlockError(f"{name} is a number from {least} to {most}")
    return int(value)


def _align(props: Props, default: str = "left") -> str:
    value = next((props[name] for name in ("align", "textAlign") if props.get(name) not in _EMPTY), default)
    if not isinstance(value, str) or value not in _ALIGNS:
        raise BlockError("align is left, center or right")
    return value


def _words(props: Props, *names: str) -> str:
    for name in names:
        value = props.get(name)
        if value is not None:
            if not isinstance(value, str | int | float):
                raise BlockError(f"{name} is a text")
            return str(value)
    return ""


def _url(props: Props, *names: str, is_required: bool = True) -> str:
    value = _words(props, *names).strip()
    if not value and not is_required:
        return ""
    if not _URL.fullmatch(value):
        raise BlockError(f"{names[0]} is a URL that begins with http://, https://, mailto: or tel:")
    return escape(value)


class _Compiler:
    def __init__(self, link_color: str, width: int) -> None:
        self._link_color = link_color
        self._width = width
        self._count = 0

    def rows(self, blocks: Any, depth: int) -> str:
        """Table rows for a list of blocks."""
        if depth > MAX_DEPTH:
            raise BlockError(f"sections and columns stand at most {MAX_DEPTH} deep in one another")
        if not _is_list(blocks):
            raise BlockError("blocks is a list")
        return "".join(self._row(block, depth) for block in blocks)

    def _row(self, block: Any, depth: int) -> str:
        self._count += 1
        if self._count > MAX_BLOCKS:
            raise BlockError(f"a design has at most {MAX_BLOCKS} blocks")
        if not isinstance(block, Mapping):
            raise BlockError("each block is an object")
        kind, props = block.get("type"), _props(block, "props")
        name = f"block {block.get('id', self._count)!s:.60}"
        if not isinstance(kind, str) or kind not in TYPES:
            raise BlockError(f"{name}: its type is one of {', '.join(sorted(TYPES))}")
        if props is None:
            raise BlockError(f"{name}: props is an object")
        try:
            inner, padding = getattr(self, f"_{kind}")(props, depth)
        except BlockError as error:
            raise error if str(error).startswith("block ") else BlockError(f"{name}: {error}") from None
        return f'<tr><td style="padding:{padding}">{inner}</td></tr>\n'

    def _heading(self, props: Props, _depth: int) -> tuple[str, str]:
        level = _number(props, "level", 2, 1, 4)
        style = f"margin:0;font-size:{_SIZES[level]}px;line-height:1.3;color:{_color(props, 'color', '#18181b')};text-align:{_align(props)}"
        return f'<h{level} style="{style}">{escape(_words(props, "text", "content"))}</h{level}>', "16px 32px 8px"

    def _text(self, props: Props, _depth: int) -> tuple[str, str]:
        html = props.get("html")
        inner = html if isinstance(html, str) else escape(_words(props, "text", "content"), quote=False).replace("\n", "<br>")
        size = _number(props, "fontSize", 16, 8, 72)
        style = f"font-size:{size}px;line-height:1.5;color:{_color(props, 'color', '#3f3f46')};text-align:{_align(props)}"
        return f'<div style="{style}">{inner}</div>', "8px 32px"

    def _image(self, props: Props, _depth: int) -> tuple[str, str]:
        width = _number(props, "width", self._width, 1, 2000)
        image = (
            f'<img src="{_url(props, "src", "url")}" alt="{escape(_words(props, "alt"))}" width="{width}" border="0" '
            f'style="display:inline-block;width:100%;max-width:{width}px;height:auto">'
        )
        href = _url(props, "href", "link", is_required=False)
        linked = f'<a href="{href}">{image}</a>' if href else image
        return f'<div style="text-align:{_align(props, "center")}">{linked}</div>', "8px 32px"

    def _button(self, props: Props, _depth: int) -> tuple[str, str]:
        background = _color(props, "backgroundColor", self._link_color)
        radius = _number(props, "borderRadius", 6, 0, 100)
        style = (
            f"display:inline-block;padding:12px 24px;background-color:{background};color:{_color(props, 'color', '#ffffff')};"
            f"border-radius:{radius}px;font-size:16px;font-weight:bold;text-decoration:none"
        )
        link = f'<a href="{_url(props, "href", "url", "link")}" style="{style}">{escape(_words(props, "text", "label"))}</a>'
        return f'<div style="text-align:{_align(props, "center")}">{link}</div>', "16px 32px"

    def _divider(self, props: Props, _depth: int) -> tuple[str, str]:
        thickness = _number(props, "thickness", 1, 1, 20)
        return f'<div style="border-top:{thickness}px solid {_color(props, "color", "#e4e4e7")};line-height:0">&nbsp;</div>', "16px 32px"

    def _spacer(self, props: Props, _depth: int) -> tuple[str, str]:
        height = _number(props, "height", 24, 1, 400)
        return f'<div style="height:{height}px;line-height:{height}px;font-size:1px">&nbsp;</div>', "0"

    def _columns(self, props: Props, depth: int) -> tuple[str, str]:
        columns = props.get("columns")
        if not _is_list(columns) or not columns or len(columns) > MAX_COLUMNS:
            raise BlockError(f"columns is a list of 1 to {MAX_COLUMNS} lists of blocks")
        cells = []
        for column in columns:
            blocks = column.get("blocks") if isinstance(column, Mapping) else column
            cells.append(
                f'<td width="{100 // len(columns)}%" valign="top"><table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
                f'border="0">{self.rows(blocks, depth + 1)}</table></td>'
            )
        table = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">'
        return f"{table}<tr>{''.join(cells)}</tr></table>", "0"

    def _section(self, props: Props, depth: int) -> tuple[str, str]:
        background = _color(props, "backgroundColor", "transparent")
        padding = _number(props, "padding", 0, 0, 100)
        inner = self.rows(props.get("blocks") or props.get("children") or [], depth + 1)
        style = f"background-color:{background}"
        table = f'<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="{style}">{inner}</table>'
        return table, f"{padding}px 0"

    def _social(self, props: Props, _depth: int) -> tuple[str, str]:
        links = props.get("links") or props.get("icons") or []
        if not _is_list(links) or not all(isinstance(link, Mapping) for link in links):
            raise BlockError("links is a list of objects with network and url")
        shown = " &nbsp; ".join(
            f'<a href="{_url(link, "url", "href")}" style="color:{self._link_color};font-size:14px">'
            f"{escape(_words(link, 'network', 'platform', 'name').title())}</a>"
            for link in links
        )
        return f'<div style="text-align:{_align(props, "center")}">{shown}</div>', "16px 32px"

    def _youtube(self, props: Props, _depth: int) -> tuple[str, str]:
        text = _words(props, "videoId", "url", "videoUrl").strip()
        match = _VIDEO.fullmatch(text) if len(text) <= MAX_VIDEO else None
        if not match:
            raise BlockError("videoId is the id of a video, or url the address of one")
        title = escape(_words(props, "title") or "Watch the video")
        picture = f"https://img.youtube.com/vi/{match[1]}/hqdefault.jpg"
        image = f'<img src="{picture}" alt="{title}" width="480" border="0" style="width:100%;max-width:480px;height:auto">'
        link = f'<a href="https://www.youtube.com/watch?v={match[1]}">{image}</a>'
        return f'<div style="text-align:center">{link}</div>', "8px 32px"
