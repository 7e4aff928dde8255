"""A journal gives back what was whole, and forgets what was cut off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.augmentation import journal
from toolkit.augmentation.journal import Journal, JournalEntry

LINES = [
    JournalEntry(
        n, "rotate", f'{{"angle": {n}.5}}', 7 * n, "ab" * 32, n % 2 == 0, n / 2, 0.5, n == 3
    )
    for n in (1, 2, 3)
]
TEXT = st.text(st.characters(exclude_characters="\t", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))


def packed(*numbers):
    return b"".join(LINES[number].pack() for number in numbers)


@given(st.integers(1), TEXT, st.integers(0, 2**32 - 1), st.booleans())
def test_a_line_is_read_as_it_was_written(number, text, seed, same):
    line = JournalEntry(number, text, '{"k": "\\n"}', seed, "0f" * 32, same, 12.5, 0.0, not same)
    assert journal.unpack_entry(line.pack()) == line


def test_rows_are_read_back_in_any_order(tmp_path):
    book = Journal(tmp_path, "key", 3)
    book.add(1, [2, 0], packed(2, 0))
    book.add(0, [1], packed(1))
    assert [book.row(k) for k in range(3)] == LINES
    book.close()
    assert journal.matches(tmp_path, "key")
    assert not journal.matches(tmp_path, "other")


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_batch_that_was_cut_off_is_forgotten_and_written_again(tmp_path, cut):
    book = Journal(tmp_path, "key", 3)
    book.add(1, [2, 0], packed(2, 0))
    book.add(0, [1], packed(1))
    book.close()
    path = tmp_path / journal.NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    again = Journal(tmp_path, "key", 3)
    assert again.load([[1], [2, 0]].__getitem__, lambda _batch, _lines: True) == {1}
    again.add(0, [1], packed(1))
    assert [again.row(k) for k in range(3)] == LINES
    again.close()
    assert path.read_bytes() == whole


def test_what_is_not_good_is_not_believed(tmp_path):
    book = Journal(tmp_path, "key", 3)
    book.add(1, [2, 0], packed(2, 0))
    book.close()
    again = Journal(tmp_path, "key", 3)
    assert again.load([[1], [2, 0]].__getitem__, lambda _batch, _lines: False) == set()
    again.close()


@pytest.mark.parametrize("rubbish", [bytes(40), b"7 3\nab\n", b"x 3\nabc", b"1 4\nabc\n", b"1 0"])
def test_rubbish_at_the_end_is_forgotten(tmp_path, rubbish):
    book = Journal(tmp_path, "key", 3)
    book.add(1, [2, 0], packed(2, 0))
    book.close()
    path = tmp_path / journal.NAME
    whole = path.read_bytes()
    path.write_bytes(whole + rubbish)
    again = Journal(tmp_path, "key", 3)
    assert again.load([[1], [2, 0]].__getitem__, lambda _batch, _lines: True) == {1}
    again.close()
    assert path.read_bytes() == whole
