"""The one error that a person can mend."""

from collections.abc import Iterable


class InputError(ValueError):
    """Bad input: names the file or the params key, what was expected and found, and the remedy.

    Library code raises it; the command line prints its message and ends with exit code 1.
    """


class StoppedError(Exception):
    """A signal ended the work early; the message says how to go on.

    The command line prints it and ends with 128 plus the signal's number, as shells do.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> InputError:
    """The error for a name that does not exist: the closest valid one, and all of them."""
    import difflib

    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    listed = f"choose one of {', '.join(names)}" if names else "there are none"
    return InputError(f"unknown {kind} {name!r}{meant}; {listed}")
