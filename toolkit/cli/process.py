"""The process around a command: the signals that stop it, its standard streams, their encoding."""

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from toolkit.errors import DISTRIBUTION, StoppedError
from toolkit.io.system import processes

REPEAT = 2.0  # seconds: a terminal that closes sends more than one SIGHUP
AGAIN = 0.01  # seconds
STOPPED = "stopped by {}: no output is half-written; the same command goes on, or starts again"


def stoppable(run: Callable[[], int]) -> int:
    """Return the exit code of `run`, or after a signal 128 plus its number, and one message.

    The first signal raises StoppedError wherever the main thread is, so that temporary folders are
    removed and workers end; so does a later one, but not within REPEAT seconds. Forked processes
    leave it to this one. A signal that is ignored already stays so: nohup(1) does that. Where
    Python swallows the error, as in a callback of the import, the signal is sent again.
    """
    process, last = os.getpid(), float("-inf")

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic() if os.getpid() == process else last
        if last - before > REPEAT:
            raise StoppedError(STOPPED.format(signal.Signals(number).name), number)

    def send_again(swallowed: "sys.UnraisableHookArgs") -> None:
        nonlocal last
        if isinstance(swallowed.exc_value, StoppedError):
            last = float("-inf")
            again = threading.Timer(AGAIN, processes.signal_main, (swallowed.exc_value.number,))
            again.start()
        else:
            sys.__unraisablehook__(swallowed)

    caught = [number for number in processes.STOPPING if signal.getsignal(number) != signal.SIG_IGN]
    try:
        for number in caught:
            signal.signal(number, stop)
        sys.unraisablehook = send_again
        return run()
    except StoppedError as error:
        sys.stderr.write(f"{error}\n")
        return 128 + error.number
    finally:
        sys.unraisablehook = sys.__unraisablehook__
        for number in caught:  # nothing is left to stop
            signal.signal(number, signal.SIG_IGN)


def use_utf8() -> None:
    """Start Python again in its UTF-8 mode, where the locale would make names unreadable."""
    if sys.getfilesystemencoding() != "utf-8":
        command = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONUTF8": "1"})  # noqa: S606


def warn_of_namesake() -> None:
    """Say on stderr if another project's distribution `toolkit` lies among the same modules."""
    if any(list(Path(folder).glob("toolkit-*.dist-info")) for folder in sys.path):
        sys.stderr.write(
            "another project's package named toolkit is installed too, and each overwrites files "
            f"of the other: pip uninstall toolkit, then pip install --force-reinstall --no-deps "
            f"{DISTRIBUTION}\n"
        )


def open_streams() -> None:
    """Give the process three open streams, of which stderr never fails.

    Where one is closed, the next file to be opened would get its number, and what is said.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    processes.encode_utf8(sys.stdout)
    encoding = sys.stderr.encoding if sys.stderr else "utf-8"
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Stderr()), encoding, "backslashreplace", line_buffering=True
    )


class _Stderr(io.RawIOBase):
    """File descriptor 2. If it is full, or its terminal gone, the work goes on."""

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return os.isatty(2)

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]
        try:
            return os.write(2, data)
        except OSError:
            return len(data)
