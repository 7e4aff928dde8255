"""The folder that a training leaves: run.json, weights, history, what it made of valid.

Nothing is unpickled.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from toolkit.errors import DISTRIBUTION, InputError
from toolkit.io import closure, files, inside
from toolkit.io.manifest import is_file_name
from toolkit.io.notebook import html_table
from toolkit.io.schema import Count, Fraction, Positive, Section, Seed, Sha256
from toolkit.metrics.decisions import Decisions
from toolkit.metrics.predictions import Predictions, predictions_csv, read_predictions
from toolkit.training import device, networks
from toolkit.training.params import Recipe
from toolkit.training.pretrained import backbones
from toolkit.training.pretrained.weights import MAX_WEIGHTS

SIDE, WEIGHTS, HISTORY = "run.json", "weights.safetensors", "history.csv"
GRADIENTS, VALID = "gradients.csv", "valid_predictions.csv"
TABLES = (HISTORY, GRADIENTS, VALID)


@dataclass(frozen=True)
class Epoch:
    """The measurements of one epoch: a row of the history.

    Losses are mean cross-entropies. `train_loss` is averaged over the epoch, while the weights
    change, and includes auxiliary heads; the `valid_` values are measured after the epoch.
    `learning_rate` is the one that the epoch was trained with. `gradients`, where the recipe asks
    for it: layer -> norm of its weights' gradient, before clipping, averaged over the steps.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    valid_accuracy: float
    valid_gmean: float
    learning_rate: float
    gradients: dict[str, float] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """Return the row of history.csv: all but the gradients, which have their own table."""
        return {name: value for name, value in asdict(self).items() if name != "gradients"}


class HeldOut(Section):
    """How a run was cross-fitted: in which `division`, from 0, into how many `folds`.

    folds/<fold>.safetensors has what each fold's network has in place of the run's own weights, and
    `weights_sha256` their hashes.
    """

    division: Count
    folds: Positive
    weights_sha256: tuple[Sha256, ...]


class Run(Section):
    """Everything that decided the weights; no times, hosts or commits, which would change hashes.

    `recipe` is the recipe's name, `settings` its content; `counts` the images of each class that it
    was trained on, `original_counts` those of them that were not made from others; `mean` and
    `deviation` what is subtracted from pixels 0..1 and divided by; `drawn` the weights that
    `settings.weights` lacked; `size` the images' height and width in pixels; `bits` those
    of 16 that gray levels use, null for all; `device`, `precision`
    and `threads` what was used; `processes` how many trained it together; `parts` in how many parts
    batches were taken, for lack of memory. `complete` is false where the time was up before the
    last epoch, or where a `problem` ended the training; `best_epoch` (from 1) is the one whose
    weights were kept. `manifest` is a hash of that of the training images, `originals` one of the
    ids of those without new ones, `valid` one of the validation images. `decisions` were chosen on
    the latter, by the best G-mean and for the class with the fewest originals;
    valid_predictions.csv lets others be chosen (see `read_valid`). With `held_out` the run was
    cross-fitted: its network is the one that is trained on all images, and valid_predictions.csv
    has what the folds' networks make of the images that they were trained without; `learning` is
    the learning curve of a frozen network, images of the rarest class and G-mean
    (`pretrained.learning`). `history` is kept in history.csv; `folder` is where the run lies.
    """

    arm: str
    recipe: str
    seed: Seed
    classes: tuple[str, ...]
    counts: dict[str, Positive]
    original_counts: dict[str, Count]
    size: Positive
    bits: Positive | None = None
    mean: float = device.MEAN
    deviation: float = device.DEVIATION
    settings: Recipe
    drawn: tuple[str, ...] = ()
    device: str
    precision: str
    threads: Positive
    processes: Positive = 1
    parts: Positive = 1
    complete: bool = True
    problem: str = ""
    best_epoch: Positive
    versions: dict[str, str | None]
    manifest: Sha256
    originals: Sha256
    valid: Sha256
    decisions: Decisions = Decisions()
    weights_sha256: Sha256
    held_out: HeldOut | None = Field(None, exclude_if=lambda held_out: held_out is None)
    learning: tuple[tuple[Positive, Fraction], ...] = Field((), exclude_if=lambda pairs: not pairs)
    history: Annotated[tuple[Epoch, ...], Field(min_length=1, exclude=True)]
    folder: Annotated[Path | None, Field(exclude=True)] = None

    @model_validator(mode="after")
    def _check_names_and_epoch(self) -> Self:
        """Refuse what no training writes: classes become folders, and an epoch is looked up."""
        if len(set(self.classes)) < len(self.classes) or not all(map(is_file_name, self.classes)):
            raise ValueError("classes must be distinct, and names that folders can have")
        if self.best_epoch > len(self.history):
            raise ValueError(f"best_epoch must be one of the {len(self.history)} in {HISTORY}")
        return self

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return self.history[self.best_epoch - 1]

    def located(self) -> Path:
        """Return where the run lies. Raises InputError if it lies nowhere."""
        if self.folder is None:
            remedy = "read it with the folder that `train` wrote"
            raise InputError(f"the run lies in no folder: {remedy}")
        return self.folder

    @property
    def conditions(self) -> dict[str, str]:
        """What has to be equal for runs to differ by nothing but their arm and seed."""
        settings = self.settings.model_dump_json()
        facts = {
            "device": self.device,
            "precision": self.precision,
            "CPU threads": self.threads,
            "processes": self.processes,
            "parts of a batch": self.parts,
            "image size": self.size,
            **{f"version of {name}": version for name, version in self.versions.items()},
            f"settings of {self.recipe}": hashlib.sha256(settings.encode()).hexdigest()[:8],
            "original training images": self.originals[:8],
            "validation images": self.valid[:8],
            "folds": self.held_out.folds if self.held_out else None,
        }
        return {name: str(value) for name, value in facts.items() if value is not None}

    @property
    def rarest(self) -> str | None:
        """The class with the fewest originals; None if that is no single one."""
        fewest = min(self.original_counts.values())
        names = [name for name, count in self.original_counts.items() if count == fewest]
        return names[0] if len(names) == 1 else None

    def __repr_args__(self) -> Iterable[tuple[str, Any]]:
        """Show what tells runs apart and how good this one is, not all of its settings."""
        for name in ("arm", "recipe", "seed", "best_epoch"):
            yield name, getattr(self, name)
        yield "valid_gmean", round(self.best.valid_gmean, 4)

    def _repr_html_(self) -> str:
        rows = [[f"{value:g}" for value in epoch.numbers().values()] for epoch in self.history]
        return html_table([list(self.best.numbers()), *rows], repr(self))


def training_versions() -> dict[str, str | None]:
    """Return the versions of all that computes the weights; torch's name the kind of build, too."""
    import torchvision  # after `networks`, which imports it without torch's compiler

    return {
        "toolkit": closure.find_version(DISTRIBUTION),
        **closure.trace_imports("toolkit.training.train").versions,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def pack_weights(weights: Mapping[str, Tensor]) -> bytes:
    """Serialize a state dict as the bytes of a safetensors file."""
    return safetensors.save({name: value.contiguous() for name, value in weights.items()})


def write_fold(folder: Path, fold: int, weights: Mapping[str, Tensor]) -> str:
    """Write what a fold's network has in place of the run's own weights; return its sha256."""
    data = pack_weights(weights)
    files.write_file(_fold_path(folder, fold), data)
    return hashlib.sha256(data).hexdigest()


def write_run(folder: Path, run: Run, weights: bytes, valid: Predictions) -> None:
    """Write weights.safetensors, run.json, and the tables into `folder`.

    `weights` are as `pack_weights` gives them; those of folds are written by `write_fold`.
    """
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(run.history[0].numbers()), lineterminator="\n")
    table.writeheader()
    table.writerows(row.numbers() for row in run.history)
    files.write_file(folder / WEIGHTS, weights)
    files.write_file(folder / HISTORY, stream.getvalue())
    files.write_file(folder / VALID, predictions_csv(valid))
    if run.settings.gradients:
        with files.csv_table(folder / GRADIENTS, ("epoch", "layer", "norm")) as write_row:
            for row in run.history:
                for layer, norm in row.gradients.items():
                    write_row((row.epoch, layer, norm))
    tables = [name for name in TABLES if name != GRADIENTS or run.settings.gradients]
    hashes = {name: files.sha256(folder / name) for name in tables}
    files.write_sealed(folder / SIDE, run.model_dump(mode="json") | {"tables": hashes})


def read_run(folder: Path) -> Run:
    """Read run.json and history.csv, and check that the other tables are as they were written.

    Raises InputError that names the file and the problem.
    """
    path = folder / SIDE
    try:
        side = files.unseal(_read(path), required=True)
        hashes = side.pop("tables")
        names = [name for name in TABLES if name != GRADIENTS or name in hashes]
        history, *_ = [_read_unchanged(folder / name, hashes[name]) for name in names]
        rows = csv.DictReader(io.StringIO(history.decode(), newline=""))
        return Run.model_validate(side | {"history": list(rows), "folder": folder})
    except InputError:
        raise
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        wrong = folder / HISTORY if key.startswith("history") else path
        said = problem["msg"].removeprefix("Value error, ")
        told = f"{key}: {said}" if key else said
        raise InputError(f"{wrong}: not of a run of this toolkit: {told}; train again") from error
    except (ValueError, TypeError, LookupError, AttributeError, csv.Error) as error:
        message = f"{path}: not a run of this toolkit ({error}); train again"
        raise InputError(message) from error


def read_valid(run: Run) -> Predictions:
    """Read what the run predicts for its validation images: the raw scores, float64 [N, classes].

    Raises InputError that names the file and the problem.
    """
    return read_predictions(run.located() / VALID)


def run_files(run: Run) -> Iterator[tuple[str, bytes]]:
    """Yield each file of a run by its name there, one at a time: the folder holds others as well.

    Raises InputError for one that is missing or was changed.
    """
    folder = run.located()
    side = _read(folder / SIDE)
    yield SIDE, side
    for name, digest in files.unseal(side, required=True)["tables"].items():
        yield name, _read_unchanged(folder / name, digest)
    yield WEIGHTS, _read_unchanged(folder / WEIGHTS, run.weights_sha256)
    for fold, digest in enumerate(run.held_out.weights_sha256 if run.held_out else ()):
        path = _fold_path(folder, fold)
        yield path.relative_to(folder).as_posix(), _read_unchanged(path, digest)


def find_runs(place: Path) -> list[Path]:
    """Return the runs that a path stands for: itself, or those inside it, or inside folders in it.

    Raises InputError if there are none.
    """
    if (place / SIDE).is_file():
        return [place]
    found = [path.parent for depth in ("*", "*/*") for path in place.glob(f"{depth}/{SIDE}")]
    if not found:
        raise InputError(f"{place}: no runs in it; name folders that `toolkit train` wrote")
    return sorted(found, key=lambda run: (run.parent, len(run.name), run.name))  # 2 before 10


def load_run(folder: Path) -> tuple[Run, nn.Module]:
    """Load a run and its network with the kept weights, on the CPU, in evaluation mode.

    Raises InputError that names the file which is missing, changed or not of this toolkit.
    """
    run = read_run(folder)
    return run, load_network(run, folder, _read_unchanged(folder / WEIGHTS, run.weights_sha256))


def load_fold(run: Run, fold: int) -> nn.Module:
    """Load the network of a cross-fitted run that was trained without a fold, as `load_run` does.

    Raises InputError for a run without this fold, and as `load_run` does.
    """
    folder = run.located()
    if run.held_out is None or not 0 <= fold < run.held_out.folds:
        raise InputError(f"{folder}: was not trained without a fold {fold}")
    _, network = load_run(folder)
    path = _fold_path(folder, fold)
    try:
        weights = safetensors.load(_read_unchanged(path, run.held_out.weights_sha256[fold]))
        _check_weights(path, network, weights)
        network.load_state_dict(weights, strict=False)
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not weights of a fold: {reason}; train again") from error
    return network


def _fold_path(folder: Path, fold: int) -> Path:
    return folder / "folds" / f"{fold}.safetensors"


def load_network(run: Run, folder: Path, data: bytes) -> nn.Module:
    """Build the network with the weights in `data`, the bytes of a file in `folder`.

    Raises as `load_run` does.
    """
    path = folder / WEIGHTS
    try:
        network = _build(run)
    except InputError as error:
        raise InputError(f"{folder / SIDE}: settings.{error}") from error
    try:
        weights = safetensors.load(data)
        _check_weights(path, network, weights)
        network.load_state_dict(weights, assign=True)
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        message = f"{path}: not the weights of a {run.settings.network}: {reason}; train again"
        raise InputError(message) from error
    return network.eval().to(memory_format=torch.channels_last)


def _build(run: Run) -> nn.Module:
    """Build a run's network, whose weights are replaced at once."""
    settings, classes = run.settings, len(run.classes)
    if settings.frozen:
        return backbones.build_classifier(settings.network, classes)
    networks.check_network(settings.network, run.size)
    with device.Uninitialized(), torch.device("meta"):
        return networks.build_network(
            settings.network, classes, settings.negative_slope, settings.width
        )


def _check_weights(path: Path, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raise InputError for numbers of another type than the network's, or that are not finite."""
    for name, expected in network.state_dict().items():
        value = weights.get(name)
        if value is not None and value.dtype != expected.dtype:
            raise InputError(f"{path}: {name} is {value.dtype}, not {expected.dtype}; train again")
    networks.check_finite(path, weights)


def _read(path: Path) -> bytes:
    if not path.exists():
        remedy = "name a folder that `toolkit train` wrote, or restore it with `dvc checkout`"
        raise InputError(f"{path}: no such file; {remedy}")
    try:
        return inside.read_file(path, MAX_WEIGHTS)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_unchanged(path: Path, sha256: str) -> bytes:
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        message = f"{path}: changed since it was written (its sha256 is not the one in {SIDE})"
        raise InputError(f"{message}; `dvc checkout` restores it, or train again")
    return data
