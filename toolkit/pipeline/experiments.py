"""DVC experiments: params.yaml with other values, run beside the workspace and kept by name."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from toolkit.errors import InputError
from toolkit.evaluation.results import RunResult
from toolkit.pipeline import params, revisions
from toolkit.pipeline.revisions import run_git

COMMITTED = ("dvc.yaml", "dvc.lock", "params.yaml")
WRITTEN = ("dvc.lock", "params.yaml", "reports")
"""What an experiment itself changes of the files in git."""


@dataclass(frozen=True)
class Experiment:
    """The project with other values in params.yaml: dotted key -> value; without any, as it is."""

    name: str
    changes: Mapping[str, Any]


def check_repository(project: Path) -> None:
    """Raise InputError where DVC cannot run experiments: they start from what git has."""
    known = run_git(project, "ls-files", *COMMITTED).split()
    for name in COMMITTED:
        if name not in known:
            remedy = "`dvc repro`, then `git add --all` and `git commit`"
            raise InputError(f"{project / name}: is not in git, where experiments start: {remedy}")
    try:
        run_git(project, "rev-parse", "--verify", "HEAD")
    except InputError as error:
        raise InputError(f"{project.resolve()}: git has no commit yet; `git commit`") from error


def is_done(project: Path, experiment: Experiment) -> bool:
    """Whether it ran from the commit that is checked out, with the params and files of now.

    Files that git does not know, and data outside the project, are not looked at.
    """
    ref = _ref(project, experiment)
    return _exists(project, ref) and _is_current(project, ref, experiment)


def run_experiment(project: Path, experiment: Experiment, stage: str, log: Path) -> None:
    """Run an experiment up to a stage, in place of one of the same name from the same commit.

    It starts from the commit that is checked out, with what was changed in the workspace since;
    DVC takes from its cache what it has. What DVC says goes to the file `log`. Raises InputError
    with the reason where it fails.
    """
    ref = _ref(project, experiment)
    if _exists(project, ref):
        _dvc(project, log, "exp", "remove", ref)
    changes = [f"++{key}={json.dumps(value)}" for key, value in experiment.changes.items()]
    options = [part for change in changes for part in ("--set-param", change)]
    _dvc(project, log, "exp", "run", "--temp", "--name", experiment.name, *options, stage)


def read_evaluations(project: Path, experiment: Experiment, runs: Path) -> list[RunResult]:
    """The evaluations of an experiment that ran. Raises InputError as `revisions` does."""
    return revisions.read_revision(project, _ref(project, experiment), runs)


def _ref(project: Path, experiment: Experiment) -> str:
    """Where DVC keeps an experiment that starts from the commit that is checked out."""
    commit = run_git(project, "rev-parse", "HEAD").strip()
    return f"refs/exps/{commit[:2]}/{commit[2:]}/{experiment.name}"


def _exists(project: Path, ref: str) -> bool:
    return bool(run_git(project, "for-each-ref", ref))


def _is_current(project: Path, ref: str, experiment: Experiment) -> bool:
    others = [f":(exclude){name}" for name in WRITTEN]
    if run_git(project, "diff", "--name-only", ref, "--", ".", *others):
        return False
    now = (project / revisions.PARAMS).read_text(encoding="utf-8")
    then = run_git(project, "show", f"{ref}:./{revisions.PARAMS}")
    return _settings(now, experiment.changes) == _settings(then, {})


def _settings(text: str, changes: Mapping[str, Any]) -> params.Params:
    data = YAML(typ="safe", pure=True).load(text)
    for key, value in changes.items():
        *path, last = key.split(".")
        place = data
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return params.parse_params(data)


def _dvc(project: Path, log: Path, *arguments: str) -> None:
    """Our own DVC, with our own `toolkit` on the PATH of its stages, whatever the user's says."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    command = [sys.executable, "-m", "dvc", *arguments]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=project,
            env={**os.environ, "PATH": path},
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        said = log.read_text(encoding="utf-8", errors="replace")
        what = f"`dvc {' '.join(arguments)}` failed: {_reason(said)}"
        raise InputError(f"{what}; {log} has all that it said")


def _reason(said: str) -> str:
    """The first error in what was said: a stage's own comes before DVC's."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match("error: ", line, re.IGNORECASE)]
    return [*errors, *lines[-1:], "it said nothing"][0][len("error: ") if errors else 0 :]
