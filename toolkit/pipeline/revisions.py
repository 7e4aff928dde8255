"""Evaluations of git revisions, read through DVC: branches, tags, commits and experiments."""

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
"""What DVC calls the files as they lie in the project now."""
PARAMS = Path("params.yaml")
READ = (".csv", ".json")
"""Of an evaluation what `read_result` needs; not its pictures."""


def read_revisions(
    project: Path, revisions: Sequence[str], runs: Path
) -> tuple[list[RunResult], dict[str, list[str]]]:
    """The evaluations of several revisions as results to compare, and what was left out.

    A result's arm is its revision, its recipe "<recipe>, <arm>". Where not every revision has a
    recipe with an arm, it is left out: revision -> the names of these. `runs` is where evaluations
    lie in the project. Raises InputError for fewer than two revisions, for a repeated one, where
    nothing is in all of them, and as `evaluations` does.
    """
    if len(revisions) < 2 or len(set(revisions)) < len(revisions):
        message = "revisions to compare must be at least two different ones"
        raise InputError(f"{message}, got {', '.join(revisions)}; {WORKSPACE} is one, too")
    found = {name: read_revision(project, name, runs) for name in revisions}
    pairs = {name: dict.fromkeys(map(_pair, results)) for name, results in found.items()}
    shared = set.intersection(*map(set, pairs.values()))
    if not shared:
        listed = "; ".join(f"{name} has {' and '.join(known)}" for name, known in pairs.items())
        raise InputError(f"no recipe with an arm is in all revisions: {listed}")
    kept = [
        replace(result, arm=name, recipe=_pair(result))
        for name, results in found.items()
        for result in results
        if _pair(result) in shared
    ]
    left = {name: [pair for pair in known if pair not in shared] for name, known in pairs.items()}
    return kept, {name: names for name, names in left.items() if names}


def _pair(result: RunResult) -> str:
    return f"{result.recipe}, {result.arm}"


def read_revision(project: Path, revision: str, runs: Path) -> list[RunResult]:
    """The evaluations that the revision's own params.yaml compares.

    They are read from the files in `project` for WORKSPACE, else from DVC's cache or remote; the
    project stays as it is. Raises InputError where git, DVC or the revision is missing, or an
    output is in neither; it names files as <revision>:<path>.
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
    wanted = run_keys(load_params(folder / PARAMS).compare)
    return [read_result(folder / runs / str(key)) for key in wanted]


def run_keys(compare: CompareParams) -> list[RunKey]:
    """The runs that a project compares."""
    return [
        RunKey(arm, recipe, seed)
        for recipe in compare.recipes
        for arm in compare.arms
        for seed in compare.seeds
    ]


def run_git(project: Path, *arguments: str) -> str:
    """What git prints in the project. Raises InputError with its message."""
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
        said = error.stderr.strip().removeprefix("fatal: ")
        raise InputError(f"{project.resolve()}: `git {arguments[0]}` failed: {said}") from error
    return done.stdout


# --- through DVC ------------------------------------------------------------------------------


def _copy(project: Path, revision: str, runs: Path, folder: Path) -> None:
    """Write the revision's params.yaml and its evaluations' tables into `folder`."""
    prefix = run_git(
        project, "rev-parse", "--show-prefix"
    ).strip()  # of a project within a repository
    if not (project / ".dvc").is_dir():
        raise InputError(f"{project.resolve()}: is no DVC project; `toolkit init` makes one")
    system = _open(project, revision)
    _copy_table(system, f"{prefix}{PARAMS}", folder / PARAMS)
    for key in run_keys(load_params(folder / PARAMS).compare):
        place = runs / str(key)
        _copy_table(system, f"{prefix}{place.as_posix()}", folder / place)


def _open(project: Path, revision: str) -> Any:
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    try:
        system = DVCFileSystem(str(project), rev=revision, subrepos=True)
        system.info("/")  # the repository is opened by the first question
    except RevError as error:
        message = f"{error}; name a branch, tag or commit, a DVC experiment (`dvc exp list`)"
        raise InputError(f"{message}, or {WORKSPACE}") from error
    except DvcException as error:
        raise InputError(f"{project.resolve()}: DVC cannot read it: {error}") from error
    return system


def _copy_table(system: Any, source: str, target: Path) -> None:
    """Copy a file, or the tables of a folder."""
    from dvc_data.index import DataIndexDirError

    try:
        if target.suffix:
            files.write_plain(target, system.read_bytes(source))
            return
        for path in system.ls(source, detail=False):
            if path.endswith(READ):
                _copy_table(system, path, target / Path(path).name)
    except (FileNotFoundError, DataIndexDirError) as error:
        where = "neither in git, nor in DVC's cache or remote"
        remedy = "check that revision out and `dvc pull`, or `dvc repro` and commit dvc.lock"
        raise InputError(f"{target}: {where}; {remedy}") from error
