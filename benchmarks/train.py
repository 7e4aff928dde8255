"""Training speed of `toolkit train` on a CPU, beside the published way and other libraries.

    python benchmarks/train.py [--epochs N] [--images N] [--only NAME ...]

Task: GoogLeNet with both auxiliary heads, batches of 64, 128 px, Adam; whole epochs with validation
(a quarter as many images); drawn faces. Each contender runs in a process of its own with 2 threads;
its first epoch is skipped, and the median of the others reported. Images per second count training
images; CPU time is that of the process and its workers. Peers that are not installed are skipped:
`pip install lightning fastai timm`.
"""

import argparse
import hashlib
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZE, RARE = 128, 8  # pixels; one image in eight is of the rare class


def draw(folder: Path, count: int) -> None:
    """Write <folder>/{train,valid}/<class>/*.png and their manifests."""
    from toolkit.datasets.faces.draw import draw_images
    from toolkit.io import manifest
    from toolkit.io.manifest import Manifest, Sample

    for seed, (split, n) in enumerate({"train": count, "valid": count // 4}.items()):
        counts = {"with_mask": n - n // RARE, "without_mask": n // RARE}
        samples = []
        for path, data in draw_images(counts, size=SIZE, seed=seed, workers=2):
            target = folder / split / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            samples.append(Sample(hashlib.sha256(data).hexdigest(), str(path), path.parts[0]))
        manifest.write_manifest(folder / split, Manifest(tuple(sorted(counts)), tuple(samples)))


def cpu() -> float:
    """Return the CPU seconds of this process and its children."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + workers()


def workers() -> float:
    """Return the CPU seconds of children that still run, such as a DataLoader's workers."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def one(name: str, folder: Path, epochs: int) -> None:
    """Run a contender; print the wall and CPU seconds of its epochs as JSON."""
    import torch
    from train_peers import CONTENDERS, THREADS

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    times = []
    CONTENDERS[name](folder, epochs, lambda: times.append((time.perf_counter(), cpu())))
    pairs = itertools.pairwise(times)
    print(json.dumps([[b[0] - a[0], b[1] - a[1]] for a, b in pairs]))


def measure(name: str, folder: Path, epochs: int) -> list[float] | None:
    """Return the median wall and CPU seconds of an epoch; None where the contender fails."""
    command = [sys.executable, __file__, "--one", name, "--epochs", str(epochs)]
    process = subprocess.run(
        [*command, "--folder", str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        print(f"{name}: {process.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    rows = json.loads(process.stdout.splitlines()[-1])
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def table(costs: dict[str, list[float]], images: int, peers: tuple[str, ...]) -> None:
    """Print a Markdown table with ratios of speed, and of CPU time in brackets."""
    best = min((costs[peer] for peer in peers if peer in costs), default=None)
    print("| | images/s | CPU, ms per image | vs. the published way | vs. the best peer |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (wall, busy) in costs.items():
        cells = [f"{images / wall:.1f}", f"{1000 * busy / images:.1f}"]
        for other in (costs.get("published way"), best):
            cells.append(f"{other[0] / wall:.2f} ({other[1] / busy:.2f})" if other else "")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main(parse: Callable[[], argparse.Namespace]) -> None:
    """Draw the images, run the contenders one after another, and print the table."""
    options = parse()
    if options.one:
        one(options.one, options.folder, options.epochs)
        return
    from train_peers import CONTENDERS, PEERS

    with tempfile.TemporaryDirectory() as work:
        draw(Path(work), options.images)
        costs = {}
        for name in options.only or CONTENDERS:
            if (seconds := measure(name, Path(work), options.epochs)) is not None:
                costs[name] = seconds
    print(
        f"{options.images} images, {options.epochs - 1} epochs measured; CPU ratios in brackets\n"
    )
    table(costs, options.images, PEERS)


def arguments() -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument(
        "--images", type=int, default=256, help="a multiple of 64, as fastai drops the rest"
    )
    parser.add_argument("--only", nargs="*", help="only these contenders")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    main(arguments)
