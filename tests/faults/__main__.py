"""Harm every stage and print what came of it: python -m tests.faults [--long]."""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tests.faults import harms
from tests.faults.project import STAGES, Project, build

KILLS = {"fetch": 100, "audit": 50, "prepare": 100, "augment": 200, "train": 50, "evaluate": 10}
FEW = 5
PARALLEL = ("audit", "prepare", "augment")


def main() -> None:
    """Do all harms; an AssertionError ends it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="hundreds of kills: about 20 minutes")
    parser.add_argument("--stage", action="append", choices=list(STAGES), help="only this one")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names = given.stage or list(STAGES)
    with tempfile.TemporaryDirectory() as root:
        project = build(Path(root) / "a project")
        _table(("stage", "kills", "while it wrote", "s"), _kills(project, names, given))
        _table(
            ("stage", "harm", "tries", "refused with one message", "s"),
            (row for name in names for row in _harms(project, name, given.long)),
        )


def _kills(project: Project, names: list[str], given: argparse.Namespace) -> Iterable[list[object]]:
    for name in names:
        start, rng = time.monotonic(), np.random.default_rng(given.seed)
        tally = harms.kills(project, name, KILLS[name] if given.long else FEW, rng)
        yield [name, tally.done, tally.working, f"{time.monotonic() - start:.0f}"]


def _harms(project: Project, name: str, long: bool) -> Iterable[list[object]]:
    percents = range(5, 101, 5) if long else (30, 70)
    tries: dict[str, Callable[[], harms.Tally]] = {
        "full disk": lambda: harms.full_disk(project, name, percents),
        "read-only folder": lambda: harms.Tally(1, 0, harms.read_only(project, name).code),
        "few file descriptors": lambda: harms.no_descriptors(project, name),
        "two at once": lambda: harms.two_at_once(project, name, 3 if long else 1),
    }
    if name in PARALLEL:
        tries["a killed worker"] = lambda: harms.killed_worker(project, name, 10 if long else 1)
    for harm, run in tries.items():
        start = time.monotonic()
        try:
            tally = run()
        except PermissionError as error:
            yield [name, harm, 0, f"skipped: {error}", "0"]
            continue
        yield [name, harm, tally.done, tally.refused, f"{time.monotonic() - start:.0f}"]


def _table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> None:
    cells = list(header)
    for line in itertools.chain((cells, ["---"] * len(cells)), rows):
        sys.stdout.write(f"| {' | '.join(map(str, line))} |\n")
        sys.stdout.flush()
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
