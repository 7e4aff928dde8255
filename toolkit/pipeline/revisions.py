"""Evaluations at git revisions (branches, tags, commits, DVC experiments), read through DVC."""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.evaluation.results import RunKey, RunResult, read_result
from toolkit.io import files
from toolkit.metrics.params import CompareParams
from toolkit.pipeline.params import load_params

WORKSPACE = "workspace"
"""DVC's name for the files that lie in the project now."""
PARAMS = Path("params.yaml")
TABLES = (".csv", ".json")
"""The files of an evaluation that `read_result` needs."""


def read_revisions(
    project: Path, revisions: Sequence[str], runs: Path
) -> tuple[list[RunResult], dict[str, list[str]]]:
    """Read the evaluations at several revisions to compare them, and list what was left out.

    The arm of a result becomes its revision, and its recipe "<recipe>, <arm>". A recipe with an arm
    that not every revision has is left out: revision -> the names of these. `runs` is the folder of
    evaluations in the project. Raises InputError for fewer than two revisions, for a repeated one,
    if they have nothing in common, and as `read_revision` does.
    """
    if len(revisions) < 2 or len(set(revisions)) < len(revisions):
        message = "revisions to compare must be at least two different ones"
        raise InputError(f"{message}, got {', '.join(revisions)}; {WORKSPACE} is one, too")
    results = {name: read_revision(project, name, runs) for name in revisions}
    pairs = {name: dict.fromkeys(map(_pair, of)) for name, of in results.items()}
    shared = set.intersection(*map(set, pairs.values()))
    if not shared:
        listed = "; ".join(f"{name} has {' and '.join(of)}" for name, of in pairs.items())
        raise InputError(f"no recipe with an arm is in all revisions: {listed}")
    kept = [
        replace(result, arm=name, recipe=_pair(result))
        for name, of in results.items()
        for result in of
        if _pair(result) in shared
    ]
    left_out = {name: [pair for pair in of if pair not in shared] for name, of in pairs.items()}
    return kept, {name: names for name, names in left_out.items() if names}


def _pair(result: RunResult) -> str:
    return f"{result.recipe}, {result.arm}"


def read_revision(project: Path, revision: str, runs: Path) -> list[RunResult]:
    """Read the evaluations that the revision's own params.yaml compares.

    For WORKSPACE they are read from the files in `project`, otherwise from DVC's cache or remote;
    the project is not changed. Raises InputError, with files as <revision>:<path>, if git, DVC or
    the revision is missing, or an output is in neither.
    """
    if revision == WORKSPACE:
        return _evaluations(project, runs)
    with tempfile.TemporaryDirectory() as name:
        try:
            _copy(project, revision, runs, Path(name))
            return _evaluations(Path(name), runs)
        except InputError as error:
            raise InputError(str(error).replace(f"{name}/", f"{revision}:")) from error


def _evaluations(folder: Path, runs: Path) -> list[RunResult]:
    keys = run_keys(load_params(folder / PARAMS).compare)
    return [read_result(folder / runs / key.place) for key in keys]


def run_keys(compare: CompareParams) -> list[RunKey]:
    """Return the runs that a project compares."""
    return [
        RunKey(arm, recipe, seed)
        for recipe in compare.recipes
        for arm in compare.arms
        for seed in compare.seeds
    ]


def run_git(project: Path, *arguments: str) -> str:
    """Run git in the project and return its output. Raises InputError with git's message."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=project,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        )
    except FileNotFoundError:
        raise InputError("git: not found on this machine; install it") from None
    except subprocess.CalledProcessError as error:
        message = error.stderr.strip().removeprefix("fatal: ")
        if "not a git repository" in message:
            message = "not a git repository; run this in a project's folder"
        raise InputError(f"{project.resolve()}: `git {arguments[0]}` failed: {message}") from error
    return done.stdout


# --- through DVC ------------------------------------------------------------------------------


def _copy(project: Path, revision: str, runs: Path, folder: Path) -> None:
    """Write the revision's params.yaml and its evaluations' tables into `folder`."""
    prefix = run_git(project, "rev-parse", "--show-prefix").strip()  # if git's root is above
    if not (project / ".dvc").is_dir():
        raise InputError(f"{project.resolve()}: not a DVC project; `toolkit init` makes one")
    system = _open(project, revision)
    _copy_table(system, f"{prefix}{PARAMS}", folder / PARAMS)
    for key in run_keys(load_params(folder / PARAMS).compare):
        place = runs / key.place
        _copy_table(system, f"{prefix}{place.as_posix()}", folder / place)


def _open(project: Path, revision: str) -> Any:
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    try:
        system = DVCFileSystem(str(project), rev=revision, subrepos=True)
        system.info("/")  # opens the repository
    except RevError as error:
        message = f"{error}; name a branch, tag or commit, a DVC experiment (`dvc exp list`)"
        raise InputError(f"{message}, or {WORKSPACE}") from error
    except DvcException as error:
        raise InputError(f"{project.resolve()}: DVC cannot read it: {error}") from error
    return system


def _copy_table(system: Any, source: str, target: Path) -> None:
    """Copy a file, or the TABLES in a folder."""
    from dvc_data.index import DataIndexDirError

    try:
        if target.suffix:
            files.write_plain(target, system.read_bytes(source))
            return
        for path in system.ls(source, detail=False):
            if path.endswith(TABLES):
                _copy_table(system, path, target / Path(path).name)
    except (FileNotFoundError, DataIndexDirError) as error:
        where = "neither in git, nor in DVC's cache or remote"
        remedy = "check that revision out and `dvc pull`, or `dvc repro` and commit dvc.lock"
        raise InputError(f"{target}: {where}; {remedy}") from error
