"""Disturb every stage and print the outcomes: python -m tests.faults [--long]."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tests.faults import injections
from tests.faults.injections import Tally
from tests.faults.project import OTHERS, STAGES, Project, build

KILLS = {
    "fetch": 100,
    "audit": 50,
    "prepare": 50,
    "augment": 200,
    "train": 50,
    "evaluate": 50,
    "probe": 50,
    "compare": 50,
    "report": 50,
    "export": 50,
    "embed": 50,
}
"""Stages that are disturbed, and how often each is killed in a long run."""
SERVER, SERVER_KILLS = "serve", 50
FEW = 5
PARALLEL = ("audit", "prepare", "augment")
HEADER = ("stage", "fault", "tries", "while writing", "refused or stopped", "unnoticed", "s")


def main() -> None:
    """Inject all faults; the first loss raises AssertionError."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="hundreds of kills: about 3 hours")
    parser.add_argument(
        "--tries", type=int, help="kills, signals of each kind, flipped bits, of each stage"
    )
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this; repeatable")
    parser.add_argument(
        "--stage", action="append", choices=[*KILLS, *OTHERS], help="only this; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        names = arguments.stage or [*KILLS, *OTHERS]
        project = build(Path(root) / "a project", names)
        _print_row(HEADER)
        _print_row(["---"] * len(HEADER))
        for name in names:
            for fault, inject in FAULTS.items():
                if fault in (arguments.fault or FAULTS):
                    _print_row(_row(project, name, fault, inject, arguments))


Arguments = argparse.Namespace
Inject = Callable[[Project, str, Arguments], Tally | None]


def _row(
    project: Project, name: str, fault: str, inject: Inject, arguments: Arguments
) -> Iterable[object]:
    start = time.monotonic()
    try:
        tally = inject(project, name, arguments)
    except PermissionError as error:
        return [name, fault, f"skipped: {error}"]
    if tally is None:
        return []
    counts = (tally.done, tally.writing, tally.refused, tally.unnoticed)
    return [name, fault, *counts, f"{time.monotonic() - start:.0f}"]


def _kills(project: Project, name: str, arguments: Arguments) -> Tally | None:
    if name == SERVER:
        count = arguments.tries or (SERVER_KILLS if arguments.long else FEW)
        return injections.kills_of_server(project, name, count, _rng(arguments))
    if name not in KILLS:
        return None
    count = arguments.tries or (KILLS[name] if arguments.long else FEW)
    return injections.kills(project, name, count, _rng(arguments))


def _full_disk(project: Project, name: str, arguments: Arguments) -> Tally | None:
    percents = range(5, 101, 5) if arguments.long else (30, 70)
    return injections.full_disk(project, name, percents) if name in KILLS else None


def _read_only(project: Project, name: str, _: Arguments) -> Tally | None:
    if name not in KILLS:
        return None
    return Tally(1, 0, injections.read_only(project, name).code)


def _few_descriptors(project: Project, name: str, _: Arguments) -> Tally | None:
    return injections.no_descriptors(project, name) if name in KILLS else None


def _two_at_once(project: Project, name: str, arguments: Arguments) -> Tally | None:
    count = 10 if arguments.long else 1
    return injections.two_at_once(project, name, count) if name in KILLS else None


def _killed_worker(project: Project, name: str, arguments: Arguments) -> Tally | None:
    count = 10 if arguments.long else 1
    return injections.killed_worker(project, name, count) if name in PARALLEL else None


def _signals(project: Project, name: str, arguments: Arguments) -> Tally:
    count = arguments.tries or (10 if arguments.long else 1)
    return injections.signals(project, name, count, _rng(arguments))


def _flips(project: Project, name: str, arguments: Arguments) -> Tally | None:
    if name not in STAGES or not STAGES[name].inputs:  # the photos of a stranger have no hashes
        return None
    count = arguments.tries or (50 if arguments.long else 3)
    return injections.flips(project, name, count, _rng(arguments))


def _rng(arguments: Arguments) -> np.random.Generator:
    return np.random.default_rng(arguments.seed)


FAULTS: dict[str, Inject] = {
    "killed": _kills,
    "full disk": _full_disk,
    "read-only folder": _read_only,
    "few file descriptors": _few_descriptors,
    "two at once": _two_at_once,
    "a killed worker": _killed_worker,
    "signals": _signals,
    "flipped bits": _flips,
}


def _print_row(cells: Iterable[object]) -> None:
    if line := " | ".join(map(str, cells)):
        sys.stdout.write(f"| {line} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
