"""The filters of the templates; test_comparison.py and test_audit.py have whole pages."""

import pytest

from toolkit.reporting import html


def test_numbers_stand_at_the_right_and_words_at_the_left():
    table = [
        ["a", "b", "c", "d"],
        ["x", "+0.1 (0 to 1)", "3.11.7", ""],
        ["1", "< 0.001", "", ""],
    ]
    assert html._numeric(table) == [False, True, False, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("G-mean -0.1 (-0.2 to +0.1)", "G-mean \u22120.1 (\u22120.2 to +0.1)"),
        ("resnet-18 1-2 a-1", "resnet-18 1-2 a-1"),
    ],
)
def test_a_minus_is_a_minus_and_a_hyphen_stays_one(text, expected):
    assert html._minus(text) == expected


def test_prose_keeps_a_gmean_and_its_number_together_and_escapes_the_rest():
    assert html._prose("<b> G-mean -0.1.") == (
        '&lt;b&gt; <span class="whole">G-mean \u22120.1</span>.'
    )
