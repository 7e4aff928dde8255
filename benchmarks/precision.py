"""Effect of bfloat16 on training: G-mean of three seeds in both precisions.

    python benchmarks/precision.py [--network NAME] [--epochs N] [--size PX]

500 faces with a mask and 360 without for training, 300 and 200 for validation, batches of 64. Also
the differences of the first two losses from those in float32. The rows "images rounded" show how
sensitive these are: all is float32, and only the images' values are rounded to bfloat16. Prints a
Markdown table.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from toolkit.datasets.faces import draw  # noqa: E402
from toolkit.training import dataset, device, loop, steps  # noqa: E402
from toolkit.training.dataset import Tensors  # noqa: E402
from toolkit.training.params import Recipe, TrainParams  # noqa: E402
from toolkit.training.state import TrainingJob, initial_state, training_job  # noqa: E402

SEEDS, BATCH = (0, 1, 2), 64
WAYS = ("float32", "images rounded", "bfloat16")


class Rounded(nn.Module):
    """A network whose input alone is rounded to bfloat16."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 images to the network's output."""
        return self.network(images.bfloat16().float())


def faces(size: int, counts: tuple[int, int], seed: int) -> Tensors:
    """Draw faces in memory."""
    pairs = [(k, i) for k, n in enumerate(counts) for i in range(n)]
    pixels = [draw.draw_face(draw.LABELS[k], i, size=size, seed=seed) for k, i in pairs]
    labels = torch.tensor([k for k, _ in pairs])
    return Tensors(dataset.stack_images(pixels), labels, draw.LABELS, len(pairs))


def job(way: str, recipe: Recipe, seed: int) -> TrainingJob:
    """Return the job of a recipe in one of WAYS."""
    precision = "bfloat16" if way == "bfloat16" else "float32"
    settings = TrainParams(device="cpu", precision=precision, recipes={"r": recipe})
    return training_job(settings, "r", seed)


def first_losses(data: Tensors, one: TrainingJob, way: str) -> list[float]:
    """Return the losses of the first two steps."""
    rows = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(one.seed))
    with device.reproducible(one.settings.threads, torch.device("cpu")):
        state = initial_state(one, len(data.classes))
        if way == "images rounded":
            state = replace(state, forward=Rounded(state.forward))
        state.network.train()
        parts = data.take(rows[: 2 * BATCH].split(BATCH))
        return [steps.train_step(state, *batch).item() for batch in parts]


def line(*cells: object) -> None:
    """Print a row of the table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def differences(losses: Sequence[float], exact: Sequence[float]) -> list[str]:
    """Return the absolute differences of losses from the exact ones."""
    return [f"{abs(a - b):.1e}" for a, b in zip(losses, exact, strict=True)]


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="googlenet")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--size", type=int, default=48)
    options = parser.parse_args()
    recipe = Recipe(network=options.network, epochs=options.epochs, batch=BATCH)
    arm, valid = faces(options.size, (500, 360), 0), faces(options.size, (300, 200), 1)
    exact = {seed: first_losses(arm, job("float32", recipe, seed), "float32") for seed in SEEDS}
    line("way", "seed", "first loss differs by", "second", "best G-mean on valid")
    line("---", "---:", "---:", "---:", "---:")
    for way in WAYS:
        reached = []
        for seed in SEEDS:
            one = job(way, recipe, seed)
            gaps = differences(first_losses(arm, one, way), exact[seed])
            if way != "images rounded":
                reached.append(max(row.valid_gmean for row in loop.fit(arm, valid, one).history))
            line(way, seed, *gaps, f"{reached[-1]:.4f}" if reached else "")
        if reached:
            mean, spread = statistics.mean(reached), statistics.stdev(reached)
            line(way, "mean, deviation", "", "", f"{mean:.4f}, {spread:.4f}")


if __name__ == "__main__":
    main()
