"""URLs of webhooks, targets of tracked links, and the tokens in our own links."""

from urllib.parse import urlsplit

from drive import drive

from sendryd.model.ids import DeliveryId
from sendryd.policy.destinations import is_public
from sendryd.policy.tracking import ClickToken, mint_click, read_token, redirect_location
from sendryd.policy.urlguard import UrlRefused, check_url

SECRET = b"s" * 32
TOKEN = mint_click(SECRET, DeliveryId(7), "https://x.test/")
SEEDS = [
    b"https://hooks.example.com:8443/a?b=c", b"http://127.0.0.1/", b"http://[::1]:80/", "https://bücher.test/ä?ö#ü".encode(), b"http://a@b.test\\@c.test/", TOKEN.encode(),
]  # fmt: skip
PIECES = [
    b"http://", b"https:", b"//", b"/", b"\\", b"@", b":", b"[", b"]", b"::ffff:", b"127.0.0.1", b"0x7f.1", b"2130706433", b"0177.1", b"localhost", b".", b"%00", b"%2f", b"#",
    b"?", "。".encode(), "１２７".encode(), "\u212a".encode(), "\u00ad".encode(), b"xn--", b"\t", b"\r\n", b" ", b"x.test", b"169.254.169.254", b"64:ff9b::", b"fe80::1%25lo",
]  # fmt: skip


def test(data: bytes) -> None:
    """One text for all of them."""
    text = data.decode("utf-8", "surrogateescape")
    for allow_private in (False, True):
        try:
            url = check_url(text, allow_private=allow_private)
        except UrlRefused:
            continue
        assert url.isascii()
        assert url.isprintable()
        assert check_url(url, allow_private=allow_private) == url
        host = urlsplit(url).hostname or ""
        assert host
        if not allow_private and (":" in host or host.replace(".", "").isdigit()):
            assert is_public(host)
    location = redirect_location(text)
    if location is not None:
        assert location.isascii()
        assert location.isprintable()
        assert location.lower().startswith(("http://", "https://"))
        url = text if len(data) < 1000 else "https://x.test/"
        assert read_token(SECRET, mint_click(SECRET, DeliveryId(1), url)) == ClickToken(DeliveryId(1), url)
    assert read_token(SECRET, text) is None or text == TOKEN


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
