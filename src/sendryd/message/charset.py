"""Text out of bytes, with those charsets that mail is really written in.

The name of a charset is the sender's: only names on the list reach the codec machinery, which also has compressors and other surprises.
"""

import re
from typing import Final

_KNOWN: Final = frozenset(
    {"utf-8", "us-ascii", "ascii", "koi8-r", "koi8-u", "iso-2022-jp", "shift_jis", "euc-jp", "euc-kr"}
    | {"gb2312", "gbk", "gb18030", "big5"}
    | {f"iso-8859-{number}" for number in range(1, 17) if number != 12}
    | {f"windows-125{number}" for number in range(9)}
)
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def codec_name(charset: str) -> str | None:
    """The codec of a charset as a sender wrote it; None if it is not on the list."""
    name = charset.strip().lower().replace("_", "-")
    name = "shift_jis" if name in {"shift-jis", "sjis"} else "utf-8" if name == "utf8" else name
    return name if name in _KNOWN else None


def decode(data: bytes, charset: str) -> str:
    """The text; what does not fit is replaced, and an unknown charset is read as UTF-8 if it is that, else as Latin-1."""
    name = codec_name(charset)
    if name:
        return data.decode(name, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def one_line(text: str) -> str:
    """The text on one line, control characters replaced by spaces."""
    return _CONTROLS.sub(" ", text).strip()
