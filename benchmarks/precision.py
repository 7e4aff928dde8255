"""Whether bfloat16 changes what is reached: G-mean of three seeds in both precisions.

    python benchmarks/precision.py [--network NAME] [--epochs N] [--size PX]

500 faces with a mask and 60 without for training, 300 and 200 to measure on, batch 64. Also the
losses of the first two steps in both precisions. Prints a Markdown table.
"""

import argparse
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from toolkit import compute, dataset, fitting, synthetic, trainee  # noqa: E402
from toolkit.dataset import Tensors  # noqa: E402
from toolkit.training_params import Recipe, Train  # noqa: E402

PRECISIONS, SEEDS, BATCH = ("float32", "bfloat16"), (0, 1, 2), 64


def faces(size: int, counts: tuple[int, int], seed: int) -> Tensors:
    """Drawn faces in memory."""
    pairs = [(k, i) for k, n in enumerate(counts) for i in range(n)]
    pixels = [synthetic.draw(synthetic.LABELS[k], i, size=size, seed=seed) for k, i in pairs]
    ids = tuple(map(str, pairs))
    labels = torch.tensor([k for k, _ in pairs])
    return Tensors(dataset.stack(pixels), labels, ids, synthetic.LABELS, len(pairs))


def job(precision: str, recipe: Recipe, seed: int) -> trainee.Job:
    """The recipe in a precision."""
    settings = Train(device="cpu", precision=precision, recipes={"r": recipe})
    return trainee.job(settings, "r", seed)


def first_losses(data: Tensors, one: trainee.Job) -> list[float]:
    """Of the first two steps."""
    rows = torch.randperm(len(data.ids), generator=torch.Generator().manual_seed(0))
    with compute.reproducible(one.settings.threads, torch.device("cpu")):
        pupil = trainee.start(one, len(data.classes))
        pupil.network.train()
        parts = data.take(rows[: 2 * BATCH].split(BATCH))
        return [fitting.advance(pupil, *batch).item() for batch in parts]


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="googlenet")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--size", type=int, default=48)
    given = parser.parse_args()
    recipe = Recipe(network=given.network, epochs=given.epochs, batch=BATCH)
    arm, valid = faces(given.size, (500, 60), 0), faces(given.size, (300, 200), 1)
    print("| precision | seed | first loss | second loss | best G-mean on valid |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for precision in PRECISIONS:
        reached = []
        for seed in SEEDS:
            one = job(precision, recipe, seed)
            losses = [f"{value:.5f}" for value in first_losses(arm, one)]
            reached.append(max(row.valid_gmean for row in fitting.fit(arm, valid, one).history))
            print(
                f"| {precision} | {seed} | {' | '.join(losses)} | {reached[-1]:.4f} |", flush=True
            )
        mean, spread = statistics.mean(reached), statistics.stdev(reached)
        print(f"| {precision} | mean, deviation | | | {mean:.4f}, {spread:.4f} |", flush=True)


if __name__ == "__main__":
    main()
