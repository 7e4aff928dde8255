"""`toolkit train`, and `toolkit.train`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.datasets.local import folder_name, open_images
from toolkit.datasets.params import ReadParams
from toolkit.errors import InputError, unknown_name
from toolkit.io import files
from toolkit.io.schema import Seed, build, check
from toolkit.pipeline import cleaning, paths
from toolkit.pipeline.trackers import check_tracker, track_runs
from toolkit.progress import EpochSummary, Track, silent
from toolkit.training import pretrained, runs
from toolkit.training.distributed import is_writer
from toolkit.training.params import FROZEN, RECIPES, Checkpoint, Minutes, Recipe, TrainParams
from toolkit.training.pretrained.features import find_tables
from toolkit.training.runs import Run
from toolkit.training.train import TrainingOptions, train_seeds


def train(
    arm: Path | str,
    *,
    valid: Path | str,
    recipe: str = "recommended",
    recipes: Mapping[str, Recipe | Mapping[str, Any]] | None = None,
    output: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
    precision: str = "auto",
    checkpoint: Checkpoint | Mapping[str, Any] | None = None,
    data: str = "auto",
    workers: int = 0,
    tracker: str | None = None,
    features: Path | str | None = None,
    restart: bool = False,
    max_minutes: float | None = None,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    on_epoch: Callable[[EpochSummary], object] = lambda _: None,
    say: Callable[[str], object] = lambda _: None,
) -> Run:
    """Train one network on the images in `arm`; the epoch that is best on `valid` is kept.

    Both are folders that `augment` and `prepare` wrote, or others, read as the keys of the section
    `fetch` in `reading` say. `recipe` is
    one of `recipes` (name -> the keys of `train.recipes` in params.yaml), or else "recommended",
    "resnet18" or "googlenet". The run is written to `output`, which is
    models/<arm>-<recipe>/<seed> unless it is given. `seed` is that of weights, shuffling and
    dropout. `device` is "auto", "cpu" or "cuda", `threads` the number of CPU threads (another
    number gives other weights), `precision` "auto", "float32" or "bfloat16"; `data` says whether
    images are kept in "memory" or read from "files" by so many `workers`, or "auto". `tracker` is
    "mlflow" or "wandb", where the run is logged too. `features` is a folder that `embed` wrote,
    from which a frozen network's are taken; others are computed, and kept in .toolkit. The
    state is saved as `checkpoint` says, and the same call resumes, unless `restart`;
    `max_minutes` stops in time with the best weights so far. Raises InputError for an unknown
    recipe, images that cannot be trained on, a loss that is no longer finite, and a tracker
    that is not installed or cannot be reached.
    """
    place = Path(output) if output else default_place(arm, recipe) / str(seed)
    settings = {
        "device": device,
        "threads": threads,
        "precision": precision,
        "checkpoint": checkpoint or Checkpoint(),
        "data": data,
        "workers": workers,
        "tracker": tracker,
        "recipes": recipes or RECIPES,
    }
    (run,) = train_all(
        arm,
        valid,
        recipe,
        build(TrainParams, settings, ""),
        {seed: place},
        TrainingOptions(
            checkpoints=paths.CHECKPOINTS,
            features=tuple(find_tables(features)),
            kept=paths.KEPT_FEATURES,
            restart=restart,
            max_minutes=max_minutes,
            reading=build(ReadParams, reading, "reading"),
            track=track,
            on_epoch=on_epoch,
            say=say,
        ),
    )
    return run


def train_all(
    arm: Path | str,
    valid: Path | str,
    recipe: str,
    settings: TrainParams,
    outputs: Mapping[int, Path],
    options: TrainingOptions,
) -> list[Run]:
    """Train with several seeds, seed -> the run's folder, on images that are decoded once.

    Raises as `train` does.
    """
    for output in outputs.values():
        files.check_replaceable(output, runs.SIDE)
    for seed in outputs:
        check(Seed, seed, "seed")
    check(Minutes | None, options.max_minutes, "max_minutes")
    check_tracker(settings.tracker)
    recipes = {**RECIPES, **settings.recipes}
    if recipe not in recipes:
        raise unknown_name("recipe", recipe, recipes)
    _check_weights(recipe, recipes[recipe])
    settings = settings.model_copy(update={"recipes": recipes})
    train_on, decide_on = (
        open_images(
            of, track=options.track, say=options.say, links=options.reading.follow_links
        ).folder
        for of in (arm, valid)
    )
    trained = train_seeds(train_on, decide_on, recipe, settings, outputs=outputs, options=options)
    if is_writer():
        track_runs(trained, settings.tracker)
    if options.checkpoints and is_writer():
        for saved in cleaning.find_saved(options.checkpoints, cleaning.OLD):
            cleaning.remove_saved(saved)
            options.say(f"{saved.folder}: removed, not touched for {saved.days:.0f} days")
    return trained


def _check_weights(name: str, recipe: Recipe) -> None:
    """Raise InputError for a recipe whose weights are those of a package that is not installed."""
    needed = recipe.frozen and recipe.network == FROZEN and recipe.weights is None
    if needed and not pretrained.has_weights():
        raise InputError(
            f"recipe {name}: {pretrained.missing_weights()}; or train a network from scratch, "
            "with --recipe resnet18"
        )


def default_place(arm: Path | str, recipe: str) -> Path:
    """Return where the runs of an arm and a recipe lie, each in a folder of its seed's name."""
    return paths.MODELS / f"{folder_name(arm)}-{recipe}"


def remove_others(folder: Path, seeds: Sequence[int], say: Callable[[str], object]) -> None:
    """Remove the runs in a folder that are of none of these seeds."""
    wanted = {folder / str(seed) for seed in seeds}
    for place in sorted({path.parent for path in folder.glob(f"*/{runs.SIDE}")} - wanted):
        say(f"{place}: removed, compare.seeds does not name it")
        shutil.rmtree(place)
