"""What runs again after each kind of change, with real DVC: python benchmarks/caching.py.

A small project of photos is made by `toolkit init` and run once. Then every kind of param, version,
code and photo is changed by itself, and the stages that would run (`dvc status` after the first
stage) or did run (`dvc repro`) are set against the table below. Ends with 1 if one line differs.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from dvc.repo import Repo
from PIL import Image
from ruamel.yaml import YAML

import toolkit

SMALL = {"network": "torchvision.mobilenet_v3_small", "epochs": 1, "batch": 8}
SETTINGS = {
    "prepare.size": 32,
    "prepare.split": {"fractions": {"train": 0.7, "valid": 0.15, "test": 0.15}},
    "augment.target": 12,
    "augment.arms": {"augmented": {"policy": "homework"}},
    "train.threads": 1,
    "train.recipes": {"first": SMALL, "second": {**SMALL}},
    "evaluate.resamples": 200,
    "compare.arms": ["original", "augmented"],
    "compare.control": None,
    "compare.primary": None,
    "compare.recipes": ["first", "second"],
    "compare.seeds": [0],
    "compare.resamples": 200,
}
IMAGES = ("fetch", "audit", "prepare", "original", "augment*", "probe*")
RUNS = ("train*", "evaluate")
SHOWN = ("compare", "report")

# The stages that a change touches by itself; those after them follow if their inputs differ.
# Most params are not in the project's params.yaml, so that these are their defaults. The report
# shows params.yaml, and so follows each change of it.
PARAMS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "audit.dark": ("drop", ("audit", "report")),
    "audit.thresholds.dark": (0.1, ("audit", "report")),
    "audit.limits.pixels": (30_000_000, ("audit", "prepare", "report")),
    "prepare.size": (16, ("prepare", "report")),
    "prepare.seed": (1, ("prepare", "report")),
    "prepare.valid_fraction": (0.3, ("prepare", "report")),
    "prepare.split.fractions.train": (0.6, ("audit", "prepare", "report")),
    "augment.target": (14, ("augment*", "report")),
    "augment.classes": (["sick"], ("augment*", "report")),
    "augment.draw": ("random", ("augment*", "report")),
    "augment.seed": (1, ("augment*", "report")),
    "augment.format": ("jpeg", ("augment*", "report")),
    "augment.arms.augmented.without": (["rotate"], ("augment*", "report")),
    "train.device": ("cpu", ("train*", "report")),
    "train.threads": (2, ("train*", "report")),
    "train.precision": ("float32", ("train*", "report")),
    "train.recipes.second.learning_rate": (0.01, ("train@*-second", "report")),
    "train.recipes.second.keep": ("gmean", ("train@*-second", "report")),
    "train.recipes.second.plateau.patience": (3, ("train@*-second", "report")),
    "train.checkpoint.minutes": (1, ("report",)),
    "train.data": ("files", ("report",)),
    "train.workers": (1, ("report",)),
    "evaluate.positive": (None, ("evaluate", "report")),
    "evaluate.threshold": ({"rule": "recall", "recall": 0.9}, ("evaluate", "report")),
    "evaluate.beta": (1.0, ("evaluate", "report")),
    "evaluate.resamples": (300, ("evaluate", "report")),
    "evaluate.seed": (1, ("evaluate", "report")),
    "compare.control": ("original", ("compare", "report")),
    "compare.resamples": (300, ("compare", "report")),
    "compare.seed": (1, ("compare", "report")),
    "compare.seeds": ([0, 1], ("train*", "evaluate", "compare", "report")),
}
VERSIONS = {
    "numpy": ("*",),
    "pillow": ("*",),
    "torch": ("embed", *RUNS),
    "torchvision": ("embed", *RUNS),
    "scipy": ("audit", "probe*", "embed", *RUNS, *SHOWN),
    "scikit-learn": ("audit", "probe*", "embed", "train*"),
    "cleanlab": ("audit",),
    "imbalanced-learn": ("original", "augment*"),
    "matplotlib": ("audit", "evaluate", *SHOWN),
    "jinja2": ("audit", *SHOWN),
    "pydantic": (),
    "dvc": (),
}
CODE = {
    "errors.py": (),
    "cli/data.py": (),
    "pipeline/project.py": (),
    "pipeline/steps/probe.py": ("probe*",),
    "io/images.py": ("*",),
    "io/shards.py": ("*",),
    "datasets/faces/draw.py": ("fetch",),
    "datasets/split.py": ("prepare",),
    "metrics/params.py": ("embed", "evaluate"),
    "checks/duplicates.py": ("audit",),
    "augmentation/transforms/registry.py": ("original", "augment*"),
    "training/loop.py": ("embed", "train*"),
    "training/params.py": ("embed", *RUNS),
    "evaluation/contrasts.py": ("audit", "evaluate", *SHOWN),
    "reporting/templates/style.css": ("audit", *SHOWN),
}


class Project:
    """A project in `home`/project with photos beside it, and a copy of the package to change."""

    def __init__(self, home: Path) -> None:
        """Make the project; nothing has run."""
        self.folder, self.photos = home / "project", home / "photos"
        self.code, self.versions = home / "code" / "toolkit", home / "versions"
        shutil.copytree(Path(toolkit.__file__).parent, self.code)
        script = home / "bin" / "toolkit"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m toolkit "$@"\n')
        script.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.versions}{os.pathsep}{self.code.parent}",
            "DVC_NO_ANALYTICS": "1",
        }
        rng = np.random.default_rng(0)
        for label, count in {"healthy": 30, "sick": 14}.items():
            (self.photos / label).mkdir(parents=True)
            for number in range(count):
                self.photo(rng, self.photos / label / f"{number}.png")
        self.run("toolkit", "init", "project", "--images", "photos", place=home)
        for key, value in SETTINGS.items():
            self.change_param(key, value)

    @staticmethod
    def photo(rng: np.random.Generator, path: Path) -> None:
        """Write a picture of noise."""
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)

    def run(self, *command: str, place: Path | None = None) -> str:
        """Run a command in the project and return its output."""
        done = subprocess.run(
            command,
            cwd=place or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def change_param(self, key: str, value: Any) -> None:
        """Set a key of params.yaml, making the sections above it."""
        yaml, path = YAML(), self.folder / "params.yaml"
        settings = yaml.load(path)
        *sections, last = key.split(".")
        place = settings
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
        yaml.dump(settings, path)

    def stages(self) -> set[str]:
        """Return the names of all stages but the first."""
        return {stage.name for stage in Repo(str(self.folder)).index.stages} - {"provenance"}

    def touched(self) -> set[str]:
        """Return the stages that would run."""
        self.run("toolkit", "provenance")
        changed = Repo(str(self.folder)).status()
        return {address.split(":")[-1] for address in changed} - {"provenance"}

    def repro(self, *targets: str) -> set[str]:
        """Run what has changed up to the targets, and return the stages that ran."""
        output = self.run(sys.executable, "-m", "dvc", "repro", *targets)
        return set(re.findall(r"Running stage '([^']+)'", output)) - {"provenance"}


def check(change: str, ran: set[str], stages: Iterable[str], expected: Iterable[str]) -> bool:
    """Print a line, and return whether the stages are those of the patterns."""
    wanted = {stage for stage in stages if any(fnmatch.fnmatch(stage, e) for e in expected)}
    right = ran == wanted
    listed = ", ".join(dict.fromkeys(name.split("@")[0] for name in sorted(ran))) or "nothing"
    print(f"{'ok   ' if right else 'WRONG'} {change:45} {listed}", flush=True)
    if not right:
        print(f"      missing: {sorted(wanted - ran)}; too many: {sorted(ran - wanted)}")
    return right


def look(project: Project) -> list[bool]:
    """Change params, versions and code, look at what would run, and take each change back."""
    stages, right = project.stages(), []
    right.append(check("nothing", project.touched(), stages, ()))
    params = project.folder / "params.yaml"
    before = params.read_bytes()
    for key, (value, expected) in PARAMS.items():
        project.change_param(key, value)
        right.append(check(f"param {key}", project.touched(), stages, expected))
        params.write_bytes(before)
    for name, expected in VERSIONS.items():
        set_version(project, name)
        right.append(check(f"version of {name}", project.touched(), stages, expected))
        shutil.rmtree(project.versions)
    for name, expected in CODE.items():
        path = project.code / name
        text = path.read_bytes()
        path.write_bytes(text + b"\n")
        right.append(check(f"code {name}", project.touched(), stages, expected))
        path.write_bytes(text)
    return right


def set_version(project: Project, name: str) -> None:
    """Let another version of a package be installed, as far as Python can tell."""
    place = project.versions / f"{name.replace('-', '_')}-99.0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")


def run(project: Project) -> list[bool]:
    """Change photos, a param, a version and code one after the other, and run what follows."""
    rng, first = np.random.default_rng(1), project.photos / "sick" / "0.png"
    cases: dict[str, tuple[Callable[[], object], tuple[str, ...], str]] = {
        "nothing": (lambda: None, (), ""),
        "photo written again, same bytes": (
            lambda: first.write_bytes(first.read_bytes()), ("fetch",), "",
        ),
        "photo changed": (lambda: project.photo(rng, first), IMAGES[:3], "prepare"),
        "photo added": (
            lambda: project.photo(rng, first.with_name("new.png")), IMAGES[:3], "prepare",
        ),
        "photo renamed": (
            lambda: first.rename(first.with_name("other.png")), IMAGES[:3], "prepare",
        ),
        "photo deleted": (
            lambda: first.with_name("new.png").unlink(), (*IMAGES, *RUNS, *SHOWN), "",
        ),
        "augment.target": (
            lambda: project.change_param("augment.target", 13),
            ("augment*", "probe*", "*@augmented-*", *SHOWN), "",
        ),
        "learning rate of one recipe": (
            lambda: project.change_param("train.recipes.second.learning_rate", 0.002),
            ("*-second", *SHOWN), "",
        ),
        "version of torch, same results": (lambda: set_version(project, "torch"), RUNS, ""),
        "code of the loop, same results": (
            lambda: (project.code / "training" / "loop.py").open("a").write("\n"), ("train*",), "",
        ),
    }  # fmt: skip
    right = []
    for name, (change, expected, target) in cases.items():
        change()
        ran = project.repro(*filter(None, [target]))
        right.append(check(f"dvc repro: {name}", ran, project.stages(), expected))
    return right


def main() -> int:
    """Print the table; return 1 if a line differs from what is expected."""
    with tempfile.TemporaryDirectory() as name:
        project = Project(Path(name))
        stages = project.stages()
        right = [check("dvc repro: first run", project.repro(), stages, ("*",))]
        right += look(project)
        right += run(project)
    print(f"{sum(right)} of {len(right)} as expected")
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
