"""A journal gives back what was whole, and forgets what was cut off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.augmentation import journal
from toolkit.augmentation.journal import Journal, JournalEntry

ENTRIES = [
    JournalEntry(
        n, "rotate", f'{{"angle": {n}.5}}', 7 * n, "ab" * 32, n % 2 == 0, n / 2, 0.5, n == 3
    )
    for n in (1, 2, 3)
]


def entries(*numbers):
    return [ENTRIES[number] for number in numbers]


@given(st.integers(1), st.text(), st.integers(0, 2**32 - 1), st.booleans())
def test_a_line_is_read_as_it_was_written(number, text, seed, same):
    entry = JournalEntry(number, text, '{"k": "\\n"}', seed, "0f" * 32, same, 12.5, 0.0, not same)
    line = journal.encode_entry(entry)
    assert journal.decode_entry(line) == entry
    assert line.splitlines(keepends=True) == [line]


def test_rows_are_read_back_in_any_order(tmp_path):
    book = Journal(tmp_path, "key", 3)
    book.add(1, [2, 0], entries(2, 0))
    book.add(0, [1], entries(1))
    assert [book.entry(k) for k in range(3)] == ENTRIES
    book.close()
    assert journal.matches(tmp_path, "key")
    assert not journal.matches(tmp_path, "other")


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_batch_that_was_cut_off_is_forgotten_and_written_again(tmp_path, cut):
    book = Journal(tmp_path, "key", 3)
    book.add(1, [2, 0], entries(2, 0))
    book.add(0, [1], entries(1))
    book.close()
    path = tmp_path / journal.NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    again = Journal(tmp_path, "key", 3)
    assert again.load([[1], [2, 0]].__getitem__, lambda _unit, _entries: True) == {1}
    again.add(0, [1], entries(1))
    assert [again.entry(k) for k in range(3)] == ENTRIES
    again.close()
    assert path.read_bytes() == whole


def test_what_is_not_good_is_not_believed(tmp_path):
    book = Journal(tmp_path, "key", 3)
    book.add(1, [2, 0], entries(2, 0))
    book.close()
    again = Journal(tmp_path, "key", 3)
    assert again.load([[1], [2, 0]].__getitem__, lambda _unit, _entries: False) == set()
    again.close()


@pytest.mark.parametrize("rubbish", [bytes(40), b"7 3\nab\n", b"x 3\nabc", b"1 4\nabc\n", b"1 0"])
def test_rubbish_at_the_end_is_forgotten(tmp_path, rubbish):
    book = Journal(tmp_path, "key", 3)
    book.add(1, [2, 0], entries(2, 0))
    book.close()
    path = tmp_path / journal.NAME
    whole = path.read_bytes()
    path.write_bytes(whole + rubbish)
    again = Journal(tmp_path, "key", 3)
    assert again.load([[1], [2, 0]].__getitem__, lambda _unit, _entries: True) == {1}
    again.close()
    assert path.read_bytes() == whole
