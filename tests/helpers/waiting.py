"""Waiting for other processes, but never for ever."""

import time
from collections.abc import Callable
from typing import Any

TIMEOUT = 300.0
"""Seconds after which a process has hung, on a machine however busy."""
PAUSE = 0.003


def wait_until(condition: Callable[[], Any], process: Any = None, seconds: float = TIMEOUT) -> bool:
    """Wait until the condition holds or `process` (subprocess.Popen) has ended; return which.

    Raises AssertionError after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            return bool(condition())
        assert time.monotonic() < deadline, f"nothing happened within {seconds:.0f} seconds"
        time.sleep(PAUSE)
    return True
