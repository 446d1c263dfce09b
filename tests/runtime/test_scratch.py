"""Files without a name: what becomes of a file that is closed while it is written or read."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from sendryd.runtime.scratch import ScratchFile


async def test_a_file_that_is_closed_while_it_is_written_writes_to_no_other(tmp_path: Path) -> None:
    file, other = ScratchFile(tmp_path), tmp_path / "other"
    opened: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield b"one"
        file.close()
        opened.append(os.open(other, os.O_RDWR | os.O_CREAT, 0o600))  # takes the lowest descriptor that is free
        yield b"two"

    try:
        await file.append(cast("Sequence[bytes]", pieces()))
        assert other.read_bytes() == b""
    finally:
        os.close(opened[0])
    with pytest.raises(OSError, match="closed"):
        await file.read()
    file.close()


async def test_pieces_are_whole_whether_the_page_cache_has_them_or_not(tmp_path: Path) -> None:
    content = bytes(range(256)) * 700  # more than two pieces, and a rest
    other = ScratchFile(tmp_path, nowait=0)  # on a system without such reads
    await other.append([content])
    assert b"".join([piece async for piece in other.chunks()]) == content
    other.close()
    file = await ScratchFile.holding(tmp_path, [content])
    assert b"".join([piece async for piece in file.chunks()]) == content
    file.close()
    with pytest.raises(OSError, match="closed"):
        [piece async for piece in file.chunks()]
