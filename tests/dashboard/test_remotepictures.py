"""Pictures from other servers."""

from sendryd.dashboard.remotepictures import MAX_OCTETS, RemotePictures
from sendryd.runtime.posting import HttpFault

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


class Fetcher:
    """Answers each URL with these octets."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers

    async def fetch(self, url: str, *, max_size: int, accept: str = "image/*") -> bytes:
        assert (max_size, accept) == (MAX_OCTETS, "image/*")
        if url not in self.answers:
            raise HttpFault("No answer within 5 seconds.")
        return self.answers[url]


async def test_only_pictures_come_through() -> None:
    pictures = RemotePictures(Fetcher({"a": PNG, "b": b"<svg onload=alert(1)>", "c": b""}))
    assert [await pictures.fetch(url) for url in "abcd"] == [PNG, b"", b"", b""]
