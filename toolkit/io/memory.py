"""Free memory: that of the machine, or of the control group that limits this process."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
V2 = ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
V1 = (
    "sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
)
"""Of each version of control groups: where they are mounted, the files of the limit and of the use,
and the key in memory.stat of the file cache that the kernel drops first."""


def available_memory(root: Path = ROOT) -> int:
    """Return the bytes that Linux could give to a program now, its file cache included.

    A container or a batch job has a limit of its own, and so may each group above it. `root` is
    the folder that proc and sys are in.
    """
    machine = _read_fields(root / "proc/meminfo")["MemAvailable:"] * 1024
    return max(0, min([machine, *_group_rests(root)]))


def _group_rests(root: Path) -> Iterator[int]:
    """Yield what is left in the group of this process, and in each above it that has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount, *names = V1 if controllers else V2
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):  # in a container the path may be that outside
            yield from _group_rest(root / mount / folder, *names)


def _group_rest(folder: Path, limit: str, use: str, cache: str) -> Iterator[int]:
    try:
        most = (folder / limit).read_text(encoding="ascii").strip()
        if most != "max":
            used = int((folder / use).read_text(encoding="ascii"))
            yield int(most) - used + _read_fields(folder / "memory.stat").get(cache, 0)
    except OSError:  # no such group here
        return


def _read_fields(path: Path) -> dict[str, int]:
    lines = path.read_text(encoding="ascii").splitlines()
    return {name: int(value) for name, value, *_ in map(str.split, lines)}
