"""Disturb every stage and print the outcomes: python -m tests.faults [--long]."""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tests.faults import injections
from tests.faults.project import STAGES, Project, build

KILLS = {"fetch": 100, "audit": 50, "prepare": 100, "augment": 200, "train": 50, "evaluate": 10}
FEW = 5
PARALLEL = ("audit", "prepare", "augment")


def main() -> None:
    """Inject all faults; the first loss raises AssertionError."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="hundreds of kills: about 20 minutes")
    parser.add_argument(
        "--stage", action="append", choices=list(STAGES), help="only this stage; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    names = arguments.stage or list(STAGES)
    with tempfile.TemporaryDirectory() as root:
        project = build(Path(root) / "a project")
        _table(("stage", "kills", "while writing", "s"), _kills(project, names, arguments))
        _table(
            ("stage", "fault", "tries", "refused with one message", "s"),
            (row for name in names for row in _faults(project, name, arguments.long)),
        )


def _kills(
    project: Project, names: list[str], arguments: argparse.Namespace
) -> Iterable[list[object]]:
    for name in names:
        start, rng = time.monotonic(), np.random.default_rng(arguments.seed)
        tally = injections.kills(project, name, KILLS[name] if arguments.long else FEW, rng)
        yield [name, tally.done, tally.writing, f"{time.monotonic() - start:.0f}"]


def _faults(project: Project, name: str, long: bool) -> Iterable[list[object]]:
    percents = range(5, 101, 5) if long else (30, 70)
    tries: dict[str, Callable[[], injections.Tally]] = {
        "full disk": lambda: injections.full_disk(project, name, percents),
        "read-only folder": lambda: injections.Tally(
            1, 0, injections.read_only(project, name).code
        ),
        "few file descriptors": lambda: injections.no_descriptors(project, name),
        "two at once": lambda: injections.two_at_once(project, name, 3 if long else 1),
    }
    if name in PARALLEL:
        tries["a killed worker"] = lambda: injections.killed_worker(
            project, name, 10 if long else 1
        )
    for fault, run in tries.items():
        start = time.monotonic()
        try:
            tally = run()
        except PermissionError as error:
            yield [name, fault, 0, f"skipped: {error}", "0"]
            continue
        yield [name, fault, tally.done, tally.refused, f"{time.monotonic() - start:.0f}"]


def _table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> None:
    cells = list(header)
    for line in itertools.chain((cells, ["---"] * len(cells)), rows):
        sys.stdout.write(f"| {' | '.join(map(str, line))} |\n")
        sys.stdout.flush()
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
