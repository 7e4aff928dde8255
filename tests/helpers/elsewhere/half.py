"""The data half on a dozen tiny pictures: `python half.py PHOTOS RUNS OUT`."""

import sys
from pathlib import Path

import toolkit as tk


def do_data_half(photos: Path, runs: Path, out: Path) -> None:
    """Audit, augment, evaluate and compare; without pictures of numbers, which take a second."""
    tk.audit(photos, output=out / "audit.json", work=out / "work", workers=1)
    tk.augment(photos, out / "arm", target=8, workers=1, only_new=True)
    tables = {table.stem: table for table in sorted(runs.iterdir())}
    scores = [tk.evaluate(table, resamples=200).metrics for table in tables.values()]
    summary = tk.compare(tables, baseline="original", resamples=200)
    (out / "numbers.txt").write_text(f"{scores}\n{summary}")


if __name__ == "__main__":
    do_data_half(*map(Path, sys.argv[1:]))
