"""What the operating system says becomes a sentence that says what to do."""

import errno
import os

from toolkit.errors import CAUSES, explain_error


def test_no_cause_has_a_number_or_the_words_of_the_system():
    for number, cause in CAUSES.items():
        error = OSError(number, os.strerror(number), "x")
        assert explain_error(error) == cause
        assert "Errno" not in cause
    assert explain_error(OSError(errno.EADDRINUSE, "Address already in use")) == (
        "Address already in use"
    )


def test_other_errors_are_never_empty():
    assert explain_error(KeyError("counts")) == "'counts' is missing"
    assert explain_error(ValueError()) == "ValueError"
    assert explain_error(ValueError("odd")) == "odd"


class SharingError(PermissionError):
    winerror = 32  # as Windows sets it


def test_a_file_that_another_program_has_open_on_windows_is_said():
    error = SharingError(13, "Permission denied", "x.csv")
    assert explain_error(error) == "another program has it open; close it there, then run again"
