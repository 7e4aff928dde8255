"""With this folder on PYTHONPATH, Python on Linux has as little as on Windows, in workers too.

The toolkit finds no module that Windows lacks, os and signal lack what they lack there, processes
are spawned, and files that are open can be neither renamed nor removed.
"""

import builtins
import multiprocessing
import os
import signal

MODULES = {"fcntl", "grp", "pwd", "resource", "termios"}
NAMES = {
    os: ("O_CLOEXEC", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "fork", "geteuid", "getuid",
         "killpg", "pread", "pwrite", "register_at_fork", "sched_getaffinity"),
    signal: ("SIGALRM", "SIGHUP", "SIGPROF", "setitimer"),
}  # fmt: skip

genuine = builtins.__import__


def poor_import(name, globals=None, *rest, **more):  # noqa: A002
    if name in MODULES and (globals or {}).get("__name__", "").startswith("toolkit"):
        raise ImportError(f"{name} is hidden", name=name)
    return genuine(name, globals, *rest, **more)


def hide() -> None:
    multiprocessing.set_start_method("spawn", force=True)
    os.supports_dir_fd.clear()
    for module, names in NAMES.items():
        for lacking in names:
            delattr(module, lacking)
    builtins.__import__ = poor_import

    from toolkit.io.system import below, disk

    disk.MOVABLE, below.STRICT_NAMES = False, True


if __name__ == "sitecustomize":  # pytest looks for doctests in it, and must lose nothing
    hide()
