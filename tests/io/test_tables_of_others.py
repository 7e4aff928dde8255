"""Tables as other programs write them: encodings, separators, and what is refused."""

import pytest

from toolkit.errors import InputError
from toolkit.io import csv
from toolkit.io.csv import parse_table

ROWS = [["1", "Übel, x"], ["2", "gut"]]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('id,label\n1,"Übel, x"\n2,gut\n'.encode(), ()),
        ('id,label\r\n1,"Übel, x"\r\n\r\n2, gut \r\n'.encode("utf-8-sig"), ()),
        ("id;label\n1;Übel, x\n2;gut\n".encode(), ("separated by semicolons",)),
        ("id\tlabel\n1\tÜbel, x\n2\tgut\n".encode(), ("separated by tabs",)),
        ("id|label\n1|Übel, x\n2|gut\n".encode(), ("separated by vertical bars",)),
        ('id label\n1 "Übel, x"\n2 gut\n'.encode(), ("separated by spaces",)),
        ("sep=;\r\nid;label\r\n1;Übel, x\r\n2;gut\r\n".encode(), ("separated by semicolons",)),
        ('id,label\n1,"Übel, x"\n2,gut\n'.encode("cp1252"), ("read as Windows-1252",)),
        ('id,label\n1,"Übel, x"\n2,gut\n'.encode("utf-16"), ("read as UTF-16",)),
        ('id,label\r1,"Übel, x"\r2,gut\r'.encode(), ()),
    ],
)
def test_a_table_is_read_and_what_is_unusual_is_said(data, said):
    table = parse_table(data)
    assert (table.header, table.said, table.ended) == (("id", "label"), said, True)
    assert [row for _, row in table.rows] == ROWS


def test_lines_are_those_of_the_file_and_a_missing_end_is_told():
    table = parse_table(b"sep=;\na;b\n\n1;2")
    assert (table.rows, table.ended) == ([(4, ["1", "2"])], False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 must have 2 fields, got 3"),
        (b'a,b\n1,"2\n', "broken table"),
        (b"a,b\n\0,2\n", "not a text file"),
        (b"a,b\n\x81,2\n", "save it as UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        parse_table(data)


def test_the_number_of_rows_is_bounded(monkeypatch):
    monkeypatch.setattr(csv, "MAX_ROWS", 3)
    assert len(parse_table(b"a,b\n1,2\n3,4\n").rows) == 2
    with pytest.raises(InputError, match="more than 3 rows"):
        parse_table(b"a,b\n1,2\n3,4\n5,6\n")
