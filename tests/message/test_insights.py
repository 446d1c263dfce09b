"""What is said of a message before it is sent, and that hostile ones take no longer."""

import time

import pytest

from sendryd.message.insights import Check, Mark, examine


def found(html: str, subject: str = "Hello") -> dict[str, Check]:
    content = f"From: a@example.test\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}"
    return {check.id: check for check in examine(content.encode(), is_marketing=True)}


@pytest.mark.parametrize(
    ("html", "mark", "message"),
    [
        ('<p>text</p><img src="a.png" alt="A">', Mark.GOOD, "All images have alternative texts."),
        ('<p>text</p><IMG\n src="a.png"><img alt="A" src="b.png">', Mark.WARN, "1 of 2 images have no alternative text."),
        ("<p>text</p><img src=a.png><img src=b.png/>", Mark.WARN, "2 of 2 images have no alternative text."),
    ],
)
def test_images_without_alternative_text_are_counted(html: str, mark: Mark, message: str) -> None:
    check = found(html)["alt-text"]
    assert (check.mark, check.message) == (mark, message)


@pytest.mark.parametrize(
    ("html", "mark"),
    [
        ('<a href="https://x.test">x</a>', Mark.GOOD),
        ('<a href="http://x.test">x</a>', Mark.INFO),
        ('<a href = "https://bit.ly/x">x</a>', Mark.FAIL),
    ],
)
def test_links_are_looked_at(html: str, mark: Mark) -> None:
    assert found(html)["links"].mark is mark


@pytest.mark.parametrize(
    "piece",
    ["<img ", "<img \r\n", "<img alt", "<img>", "<", "href ", "href=", "<a href='", "alt ", " ", "=", "A ", "<div>", "<img alt=' '>"],
)
def test_hostile_documents_take_no_time(piece: str) -> None:
    started = time.process_time()
    found(piece * (400_000 // len(piece)))
    assert time.process_time() - started < 5  # with a search from each piece to the end, minutes
