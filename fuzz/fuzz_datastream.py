"""Content on the wire: the same wherever it is cut, with CRLF line ends only, and one end."""

from drive import cut, drive

from sendryd.smtp.datastream import END_OF_DATA, ContentReader, dot_stuff

LIMIT, PIECE = 200, 32  # octets; so that small inputs have several pieces
SEEDS = [
    b"\x03\x11From: a\r\n\r\nbody\r\n.\r\nNOOP\r\n",
    b"\x20\x21..dots\r\n.x\r\n\r\n.\r\n",
    b"\x05\x09a\n.\r\nb\n.\n\r\n.\r\n",
    b"\x09\x10" + b"x" * 90 + b"\r\n" + b"y" * 90 + b"\r\n.\r\n",
]
PIECES = [b"\r\n", b"\n", b"\r", b".", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\0", b"\xff", b"x" * 40]


def read(pieces: list[bytes], *, is_dot_stuffed: bool) -> tuple[object, ...]:
    reader, rest = ContentReader(LIMIT, is_dot_stuffed=is_dot_stuffed, piece=PIECE), None
    for piece in pieces:
        if rest is not None:
            rest += piece
        elif is_dot_stuffed:
            rest = reader.feed(piece)
        else:
            reader.append(piece)
    if is_dot_stuffed and rest is None:
        return (None,)
    if not is_dot_stuffed:
        reader.finish()
    if reader.flaw:
        assert reader.size == 0
        return (reader.flaw, rest)
    content = reader.content()
    assert len(content) == reader.size <= LIMIT
    assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
    assert b"\0" not in content
    return (content, reader.first_bare_lf, reader.is_8bit, reader.has_long_line, rest)


def test(data: bytes) -> None:
    """By DATA and by BDAT; the first two octets say where to cut."""
    places, data = list(data[:2]), data[2:]
    for is_dot_stuffed in (True, False):
        whole = read([data], is_dot_stuffed=is_dot_stuffed)
        assert read(cut(data, places), is_dot_stuffed=is_dot_stuffed) == whole
        assert read([bytes([octet]) for octet in data], is_dot_stuffed=is_dot_stuffed) == whole
        if isinstance(whole[0], bytes) and whole[0].endswith(b"\r\n"):
            stuffed = dot_stuff(whole[0]) + b".\r\n"
            assert (b"\r\n" + stuffed).index(END_OF_DATA) + len(END_OF_DATA) == len(stuffed) + 2
            assert read([stuffed], is_dot_stuffed=True)[0] == whole[0]


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
