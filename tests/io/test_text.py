"""Text on a terminal has no effects, and URLs do not show credentials."""

import pytest

from tests.helpers.naughty import TEXTS
from toolkit.io.text import escape, one_line, strip_credentials


@pytest.mark.parametrize("text", TEXTS)
def test_a_name_is_one_printable_line(text):
    assert one_line(text).isprintable()


def test_plain_text_stays_as_it_is():
    assert escape("Äpfel 猫\nx") == "Äpfel 猫\nx"


def test_credentials_are_removed_from_urls():
    text = "location: https://me:pa@ss@host/x.zip?a@b, ssh://git@host"
    assert strip_credentials(text) == "location: https://host/x.zip?a@b, ssh://host"
