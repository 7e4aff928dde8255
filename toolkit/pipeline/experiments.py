"""DVC experiments: runs with other values in params.yaml, outside the workspace, kept by name."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from toolkit.errors import InputError, require_package
from toolkit.evaluation.results import RunResult
from toolkit.io import files
from toolkit.io.system import processes
from toolkit.pipeline import params, paths, revisions
from toolkit.pipeline.provenance import collect_provenance
from toolkit.pipeline.revisions import run_git
from toolkit.pipeline.timing import TimeUpError

COMMITTED = ("dvc.yaml", "dvc.lock", "params.yaml")
WRITTEN = ("dvc.lock", "params.yaml", "provenance", "reports")
"""Files in git that an experiment itself changes."""
PATIENCE = 30.0  # seconds in which an interrupted training saves its state


@dataclass(frozen=True)
class Experiment:
    """The project with changes of params.yaml, which map dotted keys to values."""

    name: str
    changes: Mapping[str, Any]


def check_repository(project: Path) -> None:
    """Raise InputError if DVC cannot run experiments: they start from what is in git."""
    tracked = run_git(project, "ls-files", *COMMITTED).split()
    for name in COMMITTED:
        if name not in tracked:
            remedy = "`dvc repro`, then `git add --all` and `git commit`"
            raise InputError(f"{project / name}: not in git, where experiments start; {remedy}")
    try:
        run_git(project, "rev-parse", "--verify", "HEAD")
    except InputError as error:
        raise InputError(f"{project.resolve()}: git has no commit yet; `git commit`") from error


def is_done(project: Path, experiment: Experiment) -> bool:
    """Return whether it ran from the current commit with the current files and provenance."""
    ref = _ref(project, experiment)
    return _exists(project, ref) and _is_current(project, ref, experiment)


def run_experiment(project: Path, experiment: Experiment, stage: str, log: Path) -> None:
    """Run an experiment up to a stage, replacing one of the same name from the same commit.

    It starts from the current commit with the changes in the workspace; DVC reuses what is in its
    cache. DVC's output goes to the file `log`. Raises InputError with the reason if it fails.
    """
    ref = _ref(project, experiment)
    if _exists(project, ref):
        run_dvc(project, log, "exp", "remove", ref)
    changes = [f"++{key}={json.dumps(value)}" for key, value in experiment.changes.items()]
    options = [part for change in changes for part in ("--set-param", change)]
    run_dvc(project, log, "exp", "run", "--temp", "--name", experiment.name, *options, stage)


def read_evaluations(project: Path, experiment: Experiment, runs: Path) -> list[RunResult]:
    """Read the evaluations of an experiment that ran. Raises as `revisions.read_revision` does."""
    return revisions.read_revision(project, _ref(project, experiment), runs)


def _ref(project: Path, experiment: Experiment) -> str:
    """Return the ref under which DVC keeps an experiment that starts from the current commit."""
    commit = run_git(project, "rev-parse", "HEAD").strip()
    return f"refs/exps/{commit[:2]}/{commit[2:]}/{experiment.name}"


def _exists(project: Path, ref: str) -> bool:
    return bool(run_git(project, "for-each-ref", ref))


def _is_current(project: Path, ref: str, experiment: Experiment) -> bool:
    excluded = [f":(exclude){name}" for name in WRITTEN]
    if run_git(project, "diff", "--name-only", ref, "--", ".", *excluded):
        return False
    text = (project / paths.PARAMS).read_text(encoding="utf-8")
    settings, folder = _params(text, experiment.changes), paths.PROVENANCE
    return all(
        _read(project, ref, f"{folder}/{name}.json") == content
        for name, content in collect_provenance(settings, project / folder).items()
    )


def _read(project: Path, ref: str, path: str) -> Any:
    """Return the content of a JSON file at a git ref, None where there is none."""
    try:
        return files.parse_json(run_git(project, "show", f"{ref}:./{path}"))
    except InputError:
        return None


def _params(text: str, changes: Mapping[str, Any]) -> params.Params:
    data = YAML(typ="safe", pure=True).load(text)
    for key, value in changes.items():
        *path, last = key.split(".")
        section = data
        for part in path:
            section = section.setdefault(part, {})
        section[last] = value
    return params.parse_params(data)


def run_dvc(project: Path, log: Path, *arguments: str, seconds: float | None = None) -> None:
    """Run this Python's DVC, with this Python's `toolkit` on the PATH of its stages.

    After so many `seconds` it is interrupted. Raises TimeUpError then, and InputError for failures.
    """
    require_package("dvc")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    command = [sys.executable, "-m", "dvc", *arguments]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=project,
            env={**os.environ, "PATH": path},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _stop(process)
            raise TimeUpError from None
        except BaseException:
            _stop(process)
            raise
    if code:
        reason = _reason(log.read_text(encoding="utf-8", errors="replace"))
        message = f"`dvc {' '.join(arguments)}` failed: {reason}"
        raise InputError(f"{message}; its whole output is in {log}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Interrupt DVC and its stage, as Ctrl-C does; kill them if they do not end."""
    try:
        processes.signal_group(process, signal.SIGINT)
        process.wait(PATIENCE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            processes.signal_group(process, processes.KILL)


def _reason(output: str) -> str:
    """Return the first error in DVC's output: a stage's own comes before DVC's."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match("error: ", line, re.IGNORECASE)]
    return [*errors, *lines[-1:], "without any output"][0][len("error: ") if errors else 0 :]
