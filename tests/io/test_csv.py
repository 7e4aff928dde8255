"""A table reads back exactly, whatever its texts, and a spreadsheet runs none of them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.naughty import FORMULAS, TEXTS
from toolkit.io.csv import csv_text, read_rows

fields = st.text(st.characters(exclude_categories=["Cs"])) | st.text("'=+-@\t\r\n,\"1.e")


def round_trip(*rows):
    return list(read_rows(io.StringIO(csv_text(["h"], rows), newline="")))[1:]


@given(rows=st.lists(st.lists(fields, min_size=2, max_size=3)))
def test_any_texts_read_back(rows):
    assert round_trip(*rows) == rows


@pytest.mark.parametrize("text", TEXTS)
def test_no_spreadsheet_sees_a_formula(text):
    written = csv_text(["h"], [[text, "x"]]).split("\n", 1)[1]
    (cell, _), *_ = csv.reader(io.StringIO(written, newline=""))
    assert cell in (text, f"'{text}")
    assert not cell.startswith(("=", "@", "\t", "\r"))
    assert (cell != text) == (text in FORMULAS or text.startswith("--") or text == "-rf")


def test_numbers_stay_numbers():
    assert csv_text(["a", "b", "c"], [[-1, "-0.5", -1e-300]]) == "a,b,c\n-1,-0.5,-1e-300\n"


def test_lines_end_with_a_line_feed():
    assert csv_text(["a"], [["b\nc"], ["d\re"]]) == 'a\n"b\nc"\n"d\re"\n'
