"""Exceptions whose message is for the user."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input: the message names the file or the params key, what was expected, and the remedy.

    The command line prints the message and exits with 1.
    """


class StoppedError(BaseException):
    """A signal ended the work early; the message says how to continue it.

    The command line prints the message and exits, as shells do, with 128 plus the signal's number.
    Like KeyboardInterrupt it is no Exception, so that nobody takes it for a failure of the work.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message, number)  # both, so that it can be pickled
        self.number = number

    def __str__(self) -> str:
        return str(self.args[0])


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> InputError:
    """Return the error for a name that does not exist, with the closest valid name and all others.

    `kind` says what the name is of, such as "policy".
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    suggestion = f" (did you mean {close[0]!r}?)" if close else ""
    choices = f"choose one of {', '.join(names)}" if names else "there are none"
    return InputError(f"unknown {kind} {name!r}{suggestion}; {choices}")
