"""A table reads back exactly, whatever its texts, and a spreadsheet runs none of them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.naughty import FORMULAS, TEXTS
from toolkit.errors import InputError
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
    assert not cell.startswith(("=", "@", "\t", "\r", "\n"))
    assert (cell != text) == (text in FORMULAS or text.startswith("--") or text == "-rf")


def test_numbers_stay_numbers():
    assert csv_text(["a", "b", "c"], [[-1, "-0.5", -1e-300]]) == "a,b,c\n-1,-0.5,-1e-300\n"


def test_lines_end_with_a_line_feed():
    assert csv_text(["a"], [["b\nc"], ["d\re"]]) == 'a\n"b\nc"\n"d\re"\n'


@pytest.mark.parametrize("text", ["a,b\n1,2\n3,4", "a,b", 'a,b\n1,"2\n'])
def test_a_table_that_stops_in_a_row_is_refused(text):
    with pytest.raises((InputError, csv.Error), match=r"has no end|unexpected end"):
        list(read_rows(io.StringIO(text, newline="")))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_whole_table_has_any_end_of_lines(end):
    assert list(read_rows(io.StringIO(f"a,b{end}1,2{end}", newline=""))) == [["a", "b"], ["1", "2"]]
    assert list(read_rows(io.StringIO(""))) == []
