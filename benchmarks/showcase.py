"""The main job on several drawn data sets: how many end better, worse, equal, not yet known.

python benchmarks/showcase.py [number, 20 by default]

Each is a project of the preset `quick` with its own fetch.seed, 0, 1, ..., run by `dvc repro` in
a temporary folder: a minute or two each. The verdict is that of the primary contrast, which
depends on no recipe but its own: the others are left out. Nothing is tuned on any of them.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from ruamel.yaml import YAML

COUNT = 20


def run(seed: int, home: Path) -> str:
    """Run the main job on the data set of a seed, and return the primary contrast's verdict."""
    folder = home / str(seed)
    _call(home, "toolkit", "init", str(seed), "--preset", "quick", "--no-commit")
    yaml, path = YAML(), folder / "params.yaml"
    settings = yaml.load(path)
    primary = settings["compare"]["primary"]
    settings["fetch"]["seed"] = seed
    settings["compare"]["recipes"] = [primary["recipe"]]
    yaml.dump(settings, path)
    _call(folder, "dvc", "repro", "--quiet")
    summary = json.loads((folder / "reports" / "summary.json").read_text(encoding="utf-8"))
    return str(summary[primary["recipe"]][primary["arm"]]["verdict"])


def _call(folder: Path, module: str, *arguments: str) -> None:
    place = Path(sys.executable).parent  # its toolkit is that of the stages
    environment = {**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}
    command = [place / module, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed in {folder}")


def main() -> None:
    """Print the verdict of each data set as it is there, then how many ended which way."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    verdicts = Counter[str]()
    for seed in range(count):
        with tempfile.TemporaryDirectory() as name:
            verdict = run(seed, Path(name))
        verdicts[verdict] += 1
        print(f"fetch.seed {seed}: {verdict}", flush=True)
    for verdict in ("better", "worse", "practically equal", "not yet known"):
        print(f"{verdict:18} {verdicts[verdict]}")


if __name__ == "__main__":
    main()
