"""What is found of a message that readers and filters mind, and what it costs."""

import time

import pytest

from sendryd.message.insights import COSTS, MAX_HTML, MAX_SIZE, MAX_SUBJECT, Check, Mark, examine, score
from sendryd.testing.cases import cases

GOOD_HTML = b'<p>A text that is long enough to be read.</p><img src="a.png" alt="A"><a href="https://x.test/">here</a>'


def message(html: bytes | None = GOOD_HTML, text: bytes | None = b"A text.", subject: bytes = b"Your order") -> bytes:
    parts = [b"--b\r\nContent-Type: text/plain\r\n\r\n" + text + b"\r\n"] if text is not None else []
    parts += [b"--b\r\nContent-Type: text/html\r\n\r\n" + html + b"\r\n"] if html is not None else []
    head = (
        b"From: a@example.test\r\nSubject: " + subject + b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    )
    return head + b"".join(parts) + b"--b--\r\n"


def marks(content: bytes, *, is_marketing: bool = False) -> dict[str, Mark]:
    checks = examine(content, is_marketing=is_marketing)
    assert len({check.id for check in checks}) == len(checks)
    assert all(check.action for check in checks if check.mark in {Mark.WARN, Mark.FAIL})
    return {check.id: check.mark for check in checks}


def test_a_good_message_costs_nothing() -> None:
    checks = examine(message(), is_marketing=False)
    assert {check.mark for check in checks} == {Mark.GOOD}
    assert {check.id for check in checks} == {"subject", "plain-text", "size", "html-size", "text-share", "alt-text", "links"}
    assert score(checks) == 100


@cases(
    ("content", "check", "mark"),
    [
        (message(subject=b""), "subject", Mark.FAIL),
        (message(subject=b"x" * (MAX_SUBJECT + 1)), "subject", Mark.WARN),
        (message(subject=b"x" * MAX_SUBJECT), "subject", Mark.GOOD),
        (message(subject=b"BUY NOW, ONLY TODAY"), "subject", Mark.WARN),
        (message(subject=b"Free!!!"), "subject", Mark.WARN),
        (message(subject=b"Your NASA and ESA invoice"), "subject", Mark.GOOD),
        (message(text=None), "plain-text", Mark.WARN),
        (message(text=b"x\r\n" * (MAX_SIZE // 3 + 1)), "size", Mark.WARN),
        (message(GOOD_HTML + b"x " * (MAX_HTML // 2)), "html-size", Mark.WARN),
        (message(b"<p>Hi</p>" + b"<div style='padding:0'></div>" * 20), "text-share", Mark.WARN),
        (message(b"<p>A text to read</p><img src=a.png><IMG SRC=b.png alt=B>"), "alt-text", Mark.WARN),
        (message(b'<a href="https://bit.ly/x">here it is</a>'), "links", Mark.FAIL),
        (message(b"<a href='http://x.test/'>here it is</a>"), "links", Mark.INFO),
        (message(b"<a href='#'>here it is</a><a href=''>x</a>"), "empty-links", Mark.WARN),
        (message(b"<a href=javascript:go()>here it is</a>"), "empty-links", Mark.WARN),
        (message(b"<a href='https://localhost:3000/x'>here it is</a>"), "local-links", Mark.FAIL),
        (message(b"<a href='http://user@10.0.0.1/x'>here it is</a>"), "local-links", Mark.FAIL),
        (message(b"<a href='https://shop.local/'>here it is</a>"), "local-links", Mark.FAIL),
        (message(b"<p>A text to read</p><img src='https://x.test/a.png' alt=A>"), "remote-images", Mark.INFO),
        (message(b"<p>A text to read</p><form action=x></form><SCRIPT>x</SCRIPT>"), "active-content", Mark.WARN),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_minded(content: bytes, check: str, mark: Mark) -> None:
    assert marks(content)[check] is mark


@cases(
    "target", ["https://x.test/", "mailto:a@x.test", "https://10.example.org/", "#top", "https://172.32.0.1/", "https://local.example.org"]
)
def test_links_that_readers_can_follow_are_not_minded(target: str) -> None:
    assert not {"empty-links", "local-links"} & marks(message(f"<a name=x></a><a href='{target}'>here it is</a>".encode())).keys()


def test_files_that_receivers_refuse_are_named() -> None:
    content = (
        b"From: a@example.test\r\nSubject: Hello\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"".join(b"--b\r\nContent-Disposition: attachment; filename=%s\r\n\r\nx\r\n" % name for name in (b"a.EXE", b"b.pdf", b"c.js"))
        + b"--b--\r\n"
    )
    check = next(each for each in examine(content, is_marketing=False) if each.id == "attachments")
    assert (check.mark, check.message) == (Mark.FAIL, "Large receivers refuse attachments of these types: a.EXE, c.js.")


def test_a_message_without_html_has_nothing_of_it_looked_at() -> None:
    assert set(marks(message(html=None))) == {"subject", "plain-text", "size"}
    assert "alt-text" not in marks(message(b"<p>A text without a picture</p>"))


@pytest.mark.parametrize(
    ("text", "mark"), [(b"Unsubscribe: https://x.test", Mark.GOOD), (b"To opt out, write.", Mark.GOOD), (b"Bye", Mark.WARN)]
)
def test_marketing_mail_tells_how_to_unsubscribe(text: bytes, mark: Mark) -> None:
    assert marks(message(text=text), is_marketing=True)["unsubscribe"] is mark
    assert "unsubscribe" not in marks(message(text=text))


def test_a_score_does_not_fall_below_nothing() -> None:
    failed = [Check(id=str(number), label="x", mark=Mark.FAIL, message="x", action="x") for number in range(5)]
    assert [score(failed[:count]) for count in range(6)] == [100, 75, 50, 25, 0, 0]
    assert set(COSTS) == set(Mark)


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


@cases(
    "piece",
    [
        "<img ",
        "<img \r\n",
        "<img alt",
        "<img>",
        "<",
        "href ",
        "href=",
        "<a href='",
        "<a href=",
        "<a href='http://",
        "<script",
        "alt ",
        " ",
        "=",
        "A ",
        "<div>",
        "<img alt=' '>",
    ],
)
def test_hostile_documents_take_no_time(piece: str) -> None:
    started = time.process_time()
    found(piece * (400_000 // len(piece)))
    assert time.process_time() - started < 5  # with a search from each piece to the end, minutes


@cases(
    ("subject", "does_shout"),
    [
        ("BUY NOW AND SAVE", True),
        ("NEW: the IBM and HP news", False),
        ("AAA 1 BBB - CCC", True),
        ("AAA BBB c CCC", False),
        ("BUY it NOW and SAVE", False),
        ("AAA BB CC", False),
        ("AAA " + "1 " * 200_000 + "BBB", False),
    ],
)
def test_three_words_in_capitals_in_a_row_shout(subject: str, does_shout: bool) -> None:
    content = f"From: a@example.org\r\nSubject: {subject[:60_000]}\r\n\r\nbody\r\n".encode()
    found = next(check for check in examine(content, is_marketing=False) if check.id == "subject")
    assert ("shouts" in found.message) is (does_shout and len(subject) <= 70)
