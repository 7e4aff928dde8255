"""Text on a terminal has no effects, and URLs do not show credentials."""

import pytest

from tests.helpers.naughty import TEXTS
from toolkit.io.text import (
    HIDDEN,
    LONGEST,
    bounded,
    describe_content,
    escape,
    escape_hidden,
    one_line,
    strip_credentials,
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_name_is_one_printable_line(text):
    assert one_line(text).isprintable()


def test_plain_text_stays_as_it_is():
    assert escape("Äpfel 猫\nx") == "Äpfel 猫\nx"


def test_credentials_are_removed_from_urls():
    text = "location: https://me:pa@ss@host/x.zip?a@b, ssh://git@host"
    assert strip_credentials(text) == "location: https://host/x.zip?a@b, ssh://host"


def test_nothing_on_a_page_is_hidden():
    shown = "\u00e4\u732b\U0001f600\tx\n\u00a0\u2009\u2212\u0627"
    assert escape_hidden(shown) == shown
    assert escape_hidden("a\u202egnp.exe\u200b\x00\r\x1b") == r"a\u202egnp.exe\u200b\x00\r\x1b"
    assert not any(HIDDEN.search(escape_hidden(text)) for text in TEXTS)


def test_a_message_is_bounded_and_keeps_its_end():
    text = "x" * 10_000 + "; mend it"
    assert bounded(text).endswith("; mend it")
    assert len(bounded(text)) < LONGEST + 50
    assert bounded(text[-LONGEST:]) == text[-LONGEST:]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"\n<!DOCTYPE html><p>", "a web page"),
        (b"PK\x03\x04xx", "a zip archive"),
        (b"\0" * 90, "nothing but zeros, as after a copy that failed"),
        (b"hello\nworld", "a text that begins with 'hello world'"),
        ("Größe".encode() * 30, "a text that begins with 'GrößeGrößeGrößeGröß…'"),
        (bytes(range(128, 200)), "of a kind that is not known"),
    ],
)
def test_the_content_of_a_file_is_said_in_words(data, words):
    assert describe_content(data) == words
