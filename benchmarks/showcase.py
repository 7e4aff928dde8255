"""The main job on several drawn data sets: how many end better, worse, equal, not yet known.

python benchmarks/showcase.py [number, 20 by default]

Each is a project of the preset `quick` with its own fetch.seed, 0, 1, ..., run by `dvc repro` in
a temporary folder: two CPU minutes each, as many at once as there are cores. The verdict is that of
the primary contrast, which depends on no recipe but its own: the others are left out. Nothing is
tuned on any of them.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ruamel.yaml import YAML

from toolkit.io import parallel

COUNT = 20
SHOWN = ("verdict", "threshold_gmean_difference", "verdict_as_predicted", "gmean_difference")


def run(seed: int, home: Path) -> dict[str, str | float]:
    """Run the main job on the data set of a seed, and return what summary.json has of it."""
    folder = home / str(seed)
    _call(home, "toolkit", "init", str(seed), "--preset", "quick", "--no-commit")
    yaml, path = YAML(), folder / "params.yaml"
    settings = yaml.load(path)
    primary = settings["compare"]["primary"]
    settings["fetch"]["seed"] = seed
    settings["compare"]["recipes"] = [primary["recipe"]]
    yaml.dump(settings, path)
    _call(folder, "dvc", "repro", "--quiet", "compare")
    summary = json.loads((folder / "reports" / "summary.json").read_text(encoding="utf-8"))
    found: dict[str, str | float] = summary[primary["recipe"]][primary["arm"]]
    return found


def _call(folder: Path, module: str, *arguments: str) -> None:
    place = Path(sys.executable).parent  # its toolkit is that of the stages
    environment = {**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}
    command = [place / module, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed in {folder}")


def main() -> None:
    """Print the verdict of each data set as it is there, then how many ended which way."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    ranking, at_half = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(parallel.cores()) as pool:
        for seed, found in enumerate(pool.map(partial(run, home=Path(name)), range(count))):
            ranking[str(found["verdict"])] += 1
            at_half[str(found["verdict_as_predicted"])] += 1
            listed = ", ".join(f"{key} {found[key]}" for key in SHOWN)
            print(f"fetch.seed {seed}: {listed}", flush=True)
    for verdict in ("better", "worse", "practically equal", "not yet known"):
        print(f"{verdict:18} {ranking[verdict]:3}  at .5 {at_half[verdict]:3}")


if __name__ == "__main__":
    main()
