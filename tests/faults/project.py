"""A tiny project whose stages ran once undisturbed, as every disturbed run must end."""

import hashlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.conftest import fill
from tests.helpers.waiting import TIMEOUT, wait_until
from toolkit.cli.main import main

PARAMS = """
fetch: {source: folder, path: photos}
prepare: {size: 16, split: {fractions: {train: 0.6, valid: 0.2, test: 0.2}}}
augment: {target: 200, arms: {augmented: {policy: homework}}}
train:
  device: cpu
  threads: 1
  recipes:
    small: {network: resnet18, width: 0.125, epochs: 2, batch: 32, gradients: true}
evaluate: {positive: rare, resamples: 200}
compare: {arms: [original, augmented], recipes: [small], seeds: [0]}
"""
COUNTS = {"common": 120, "rare": 30}
MARK = "FAULTS_MARK"  # in the environment of every process, to find those still running
TEMPORARY = (".building", ".replaced", ".lock", ".tmp")
CACHE = ".toolkit"  # downloads, records of the audit and checkpoints, which are kept
Tree = dict[str, str]
"""The sha256 of all files below a folder, hidden ones too; "" for empty folders."""


def command(arguments: str) -> list[str]:
    """Return the command line of a command of the toolkit."""
    return [sys.executable, "-m", "toolkit", *arguments.split()]


@dataclass(frozen=True)
class Stage:
    """A command of the toolkit, its output, and the files and folders that it reads."""

    name: str
    arguments: str
    output: str
    inputs: tuple[str, ...] = ()

    def command(self, output: str = "") -> list[str]:
        """Return the command line, which writes to `output` instead of the stage's own if given."""
        arguments = f"{self.arguments} --output {output or self.output}"
        return command(arguments) if self.name == "compare" else command(f"{arguments} --quiet")


@dataclass(frozen=True)
class Result:
    """Exit code and stderr of a command."""

    code: int
    stderr: str

    @property
    def clean(self) -> bool:
        """Whether it succeeded, or failed with one message."""
        one_message = self.stderr.startswith("error: ") and "Traceback" not in self.stderr
        return self.code == 0 or (self.code == 1 and one_message)


@dataclass(frozen=True)
class Project:
    """A folder; by stage: all files after it, the new ones, seconds to the first and to the end."""

    root: Path
    whole: dict[str, Tree]
    made: dict[str, Tree]
    begins: dict[str, float]
    ends: dict[str, float]
    environment: dict[str, str]
    sessions: set[int] = field(default_factory=set)
    """Of the forks: what they start is found by them."""

    def start(self, command: list[str], **options: object) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, command: list[str], prepare: Callable[[], None] | None = None) -> Result:
        """Run a command to its end."""
        return finish(self.start(command, preexec_fn=prepare))

    def run_forked(self, command: list[str]) -> Result:
        """Run a command of the toolkit in a fork of this process: what is imported, stays so."""
        with tempfile.TemporaryFile("w+") as stderr:
            child = self.fork(command, stderr.fileno())
            child.join(TIMEOUT)
            code = child.exitcode
            child.kill()
            stderr.seek(0)
            assert code is not None, f"{command} hangs"
            return Result(code, stderr.read())

    def fork(self, command: list[str], stderr: int) -> BaseProcess:
        """Start a fork that becomes a command of the toolkit, in a session of its own."""
        arguments = (self, command, stderr)
        child = multiprocessing.get_context("fork").Process(target=_become, args=arguments)
        child.start()
        assert child.pid
        self.sessions.add(child.pid)
        return child

    def running(self) -> list[int]:
        """Return the ids of the processes started here that still run."""
        return [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/environ") if self._ours(p)]

    def _ours(self, environ: Path) -> bool:
        mark = f"{MARK}={self.environment[MARK]}".encode()
        try:
            marked = mark in environ.read_bytes().split(b"\0")
            return marked or os.getsid(int(environ.parent.name)) in self.sessions
        except OSError:
            return False


def _become(project: Project, command: list[str], stderr: int) -> None:
    os.setsid()
    os.chdir(project.root)
    os.environ.update(project.environment)
    with open(os.devnull, "w") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 1)
    os.dup2(stderr, 2)
    sys.argv = command[2:]
    main()


def finish(process: subprocess.Popen[str]) -> Result:
    """Wait for the end of a command."""
    stderr = process.communicate(timeout=TIMEOUT)[1]
    return Result(process.returncode, stderr)


def tree(root: Path) -> Tree:
    """Return the files below a folder, without CACHE."""
    files = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] == CACHE:
            continue
        if path.is_file():
            files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not any(path.iterdir()):
            files[name] = ""
    return files


def build(root: Path, names: Iterable[str]) -> Project:
    """Run the stages that the stages and commands of these names need, in order."""
    fill(root / "photos", COUNTS)
    (root / "photos" / "rare" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "params.yaml").write_text(PARAMS)
    environment = {**os.environ, MARK: uuid.uuid4().hex, "OMP_NUM_THREADS": "1"}
    project = Project(root, {}, {}, {}, {}, environment)
    for name in _needed(names):
        output = root / STAGES[name].output
        output.parent.mkdir(parents=True, exist_ok=True)
        old, before, start = tree(root), set(output.parent.iterdir()), time.monotonic()
        process = project.start(STAGES[name].command())
        wait_until(lambda: set(output.parent.iterdir()) != before, process)  # noqa: B023
        project.begins[name] = time.monotonic() - start
        result = finish(process)
        assert result.code == 0, result.stderr
        project.ends[name] = time.monotonic() - start
        project.whole[name] = tree(root)
        project.made[name] = {k: v for k, v in project.whole[name].items() if k not in old}
    return project


def _needed(names: Iterable[str]) -> list[str]:
    """Return the names of stages, and those of the stages that write what these read."""
    chosen = {name for name in names if name in STAGES}
    read = [word for name in names if name in OTHERS for word in OTHERS[name].split()]
    for stage in reversed(STAGES.values()):
        if stage.name in chosen or any(_overlap(stage.output, place) for place in read):
            chosen.add(stage.name)
            read += stage.inputs
    return [name for name in STAGES if name in chosen]


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def reset(project: Project, stage: Stage) -> None:
    """Restore the project as it was before the stage ran."""
    for path in (project.root / stage.output).parent.iterdir():
        if path.name in outputs(project, stage) or is_temporary(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(project.root / CACHE, ignore_errors=True)


def outputs(project: Project, stage: Stage) -> set[str]:
    """Return the names that the stage makes in the folder of its output."""
    folder = f"{Path(stage.output).parent}/"
    return {key.removeprefix(folder).split("/")[0] for key in project.made[stage.name]}


def is_temporary(path: Path) -> bool:
    """Return whether a path is what only a running command has."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY)


STAGES = {
    stage.name: stage
    for stage in (
        Stage("provenance", "provenance", "provenance"),
        Stage("fetch", "fetch", "data/raw"),
        Stage("audit", "audit data/raw --workers 2", "reports/audit.json", ("data/raw",)),
        Stage(
            "prepare",
            "prepare data/raw --audit reports/audit.json --workers 2",
            "data/prepared",
            ("data/raw", "reports/audit.json"),
        ),
        Stage(
            "augment",
            "augment data/prepared/train --arm augmented --only-new --workers 2",
            "data/arms/augmented",
            ("data/prepared/train",),
        ),
        Stage(
            "train",
            "train --arm data/arms/augmented --valid data/prepared/valid --recipe small --seed 0",
            "models/augmented-small/0",
            ("data/arms/augmented", "data/prepared/train", "data/prepared/valid"),
        ),
        Stage(
            "evaluate",
            "evaluate models/augmented-small/0 --test data/prepared/test",
            "reports/runs/augmented-small/0",
            ("models/augmented-small/0", "data/prepared/test"),
        ),
        Stage(
            "probe",
            "probe data/arms/augmented --workers 2",
            "reports/probe/augmented.json",
            ("data/arms/augmented", "data/prepared/train"),
        ),
        Stage(
            "arm original",
            "augment data/prepared/train --arm original",
            "data/arms/original",
            ("data/prepared/train",),
        ),
        Stage(
            "train original",
            "train --arm data/arms/original --valid data/prepared/valid --recipe small --seed 0",
            "models/original-small/0",
            ("data/arms/original", "data/prepared"),
        ),
        Stage(
            "evaluate original",
            "evaluate models/original-small/0 --test data/prepared/test",
            "reports/runs/original-small/0",
            ("models/original-small/0", "data/prepared/test"),
        ),
        Stage("compare", "compare reports/runs", "reports/summary.json", ("reports/runs",)),
        Stage("report", "report", "reports/index.html", ("reports", "data")),
        Stage(
            "export",
            "export models/augmented-small/0 --format torchscript",
            "exported/network",
            ("models/augmented-small/0",),
        ),
        Stage("embed", "embed photos --size 32", "features", ("photos",)),
    )
}
"""In the order in which they run; those of the arm `original` are only run."""
OTHERS = {
    "provenance": "provenance --output new",
    "policies": "policies",
    "networks": "networks --size 32",
    "gradients": "gradients models --output new/gradients.png",
    "predict": "predict models/augmented-small/0 data/prepared/test --output new/predicted.csv",
    "advise": "advise photos --html new/advice.html --work new/work --workers 2",
    "init": "init new --preset quick",
    "serve": "serve models/augmented-small/0 --port 0 --quiet",
    "train frozen": (
        "train --arm data/arms/augmented --valid data/prepared/valid --recipe recommended "
        "--output new/run"
    ),
}
"""Commands that are no stage; what they write goes to the folder `new`."""
ENDLESS = {"serve": 3.0}
"""Commands that only a signal ends, and the seconds in which one is sent."""
