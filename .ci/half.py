"""The data half as a person uses it, in this environment: `python .ci/half.py`, on any system.

It needs the base install alone, and says so of commands that need more.
"""

import os
import random
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from PIL import Image

TOOLKIT = Path(sysconfig.get_path("scripts"), "toolkit")
LIMIT = 600  # seconds
MORE = (
    "train --arm balanced --valid photos/valid",
    "advise photos/train",
    "init project",
)


def draw_photos() -> None:
    """Draw 18 common and 9 rare photos in two splits."""
    for split, many in (("train", 12), ("valid", 6)):
        for label, count in (("common", many), ("rare", many // 2)):
            folder = Path("photos", split, label)
            folder.mkdir(parents=True)
            for number in range(count):
                noise = Image.effect_noise((64, 64), 60 + number).convert("RGB")
                noise.save(folder / f"{number}.png")


def write_predictions() -> None:
    """Write what two networks that guess would predict."""
    for run in ("original", "augmented"):
        chance = random.Random(run)
        rows = [f"{n},{n % 2},{chance.random() > 0.4:d}" for n in range(40)]
        Path(f"{run}.csv").write_text("\n".join(["id,actual,predicted", *rows, ""]))


def run(line: str, code: int = 0) -> str:
    """Run a command of the toolkit, and return what it said."""
    done = subprocess.run(  # noqa: S603
        [TOOLKIT, *line.split()], capture_output=True, encoding="utf-8", timeout=LIMIT
    )
    said = done.stdout + done.stderr
    if done.returncode != code or "Traceback" in said:
        sys.exit(f"toolkit {line}: exit code {done.returncode}\n{said}")
    sys.stdout.write(f"toolkit {line}: as it should\n")
    return said


def main() -> None:
    """Audit, augment, probe, evaluate and compare."""
    draw_photos()
    write_predictions()
    run("audit photos --html audit.html --quiet")
    run("augment photos/train --output balanced --target 12 --quiet")
    run("probe balanced")
    Path("policy.yaml").write_text(run("policies homework"), encoding="utf-8")
    run("augment photos/train --output again --target 12 --policy policy.yaml --quiet")
    for name in ("original", "augmented"):
        run(f"evaluate {name}.csv --output runs/{name} --arm {name}")
    run("compare runs --output compared/summary.json")
    for name in ("audit.html", "balanced/manifest.csv", "again/manifest.csv"):
        if not Path(name).is_file():
            sys.exit(f"{name} is missing")
    for line in MORE:
        if "pip install 'imbalanced-images[" not in run(line, 1):
            sys.exit(f"toolkit {line}: does not say what to install")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        main()
        os.chdir(Path(place).parent)  # Windows removes no folder that is in use
