"""params.yaml as typed, validated settings; unknown keys are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from toolkit import validation, yaml_files
from toolkit.errors import InputError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]  # part of folder names and DVC keys
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of every section: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- fetch: where the images come from -------------------------------------------------------


class Synthetic(Section):
    """Drawn faces."""

    source: Literal["synthetic"]
    counts: dict[Literal["with_mask", "without_mask"], Positive]
    size: Annotated[int, Field(ge=16, le=1024)] = 128
    seed: Seed = 0


class Folder(Section):
    """A folder laid out <split>/<class>/file or <class>/file."""

    source: Literal["folder"]
    path: str


class Archive(Section):
    """A zip or tar file, local or at an http(s) URL; `folder` is the part of it to take."""

    source: Literal["archive"]
    location: str
    sha256: Hex64
    folder: str = ""


class Git(Section):
    """One folder of one commit of a git repository."""

    source: Literal["git"]
    url: str
    commit: Commit
    folder: str = ""


class Facemask(Section):
    """The public face-mask photos, through git."""

    source: Literal["facemask"]


class Elpv(Section):
    """Solar cells of the elpv-dataset package; from `threshold` on a cell counts as defective."""

    source: Literal["elpv"]
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5


Fetch = Annotated[
    Synthetic | Folder | Archive | Git | Facemask | Elpv, Field(discriminator="source")
]


# --- audit, prepare ---------------------------------------------------------------------------

Action = Literal["drop", "group", "warn", "fail"]


class Limits(Section):
    """What one image file may cost (see `codec.Limits`); what costs more is unreadable.

    Memory grows with them: 12 bytes a pixel and the file itself, under 1 GB as they are.
    """

    pixels: Positive = 64_000_000
    bytes: Positive = 200_000_000
    seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Of processor time."""


class Audit(Section):
    """What each check does with what it finds."""

    limits: Limits = Limits()
    unreadable: Literal["drop", "fail"] = "drop"
    exact_duplicates: Action = "group"


class Counts(Section):
    """Images of each class in each split; one number stands for every class."""

    train: Positive | dict[str, Positive]
    valid: Positive | dict[str, Positive]
    test: Positive | dict[str, Positive]


class Fractions(Section):
    """The share of each class in each split."""

    train: Share
    valid: Share
    test: Share

    @model_validator(mode="after")
    def _at_most_all(self) -> "Fractions":
        if self.train + self.valid + self.test > 1 + 1e-9:
            raise ValueError("train, valid and test must add up to at most 1")
        return self


class ByCounts(Section):
    """Split by counts."""

    counts: Counts


class ByFractions(Section):
    """Split by fractions."""

    fractions: Fractions


class Prepare(Section):
    """How the images are split and resized."""

    size: Annotated[int, Field(ge=16, le=1024)] = 128
    seed: Seed = 0
    split: Literal["source"] | ByCounts | ByFractions = ByFractions(
        fractions=Fractions(train=0.7, valid=0.15, test=0.15)
    )
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """With `split: source`, the share of train that becomes valid where the source has none."""


# --- augment ----------------------------------------------------------------------------------


class Choice(Section):
    """One entry of a policy: a transform, how often it is drawn, and its fixed arguments."""

    transform: str
    weight: Annotated[float, Field(gt=0)] = 1.0
    arguments: dict[str, Any] = {}


class Arm(Section):
    """One version of the training data: a named policy or one written out.

    `without`: the names of transforms that the arm leaves out of its policy.
    """

    policy: str | Annotated[list[Choice], Field(min_length=1)]
    without: list[str] = []


Target = Positive | Share | str | dict[str, Positive]


class Augment(Section):
    """How many images each class ends with, who is copied, and how."""

    target: Target = "auto"
    classes: list[str] | None = None
    draw: Literal["even", "random"] = "even"
    seed: Seed = 0
    format: Literal["png", "jpeg"] = "png"
    arms: dict[Name, Arm] = {"augmented": Arm(policy="homework")}

    @model_validator(mode="after")
    def _original_is_reserved(self) -> "Augment":
        if "original" in self.arms:
            raise ValueError("the arm 'original' is the prepared data itself: choose another name")
        return self


# --- train, evaluate, compare -----------------------------------------------------------------

Criterion = Literal["loss", "accuracy", "gmean"]


class Plateau(Section):
    """ReduceLROnPlateau.

    The learning rate is multiplied by `factor`, down to `floor`, when `watch` has not improved for
    `patience` epochs.
    """

    watch: Criterion = "loss"
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Count = 10
    floor: Annotated[float, Field(ge=0)] = 0.0


class Weights(Section):
    """A safetensors file to start from; the path is relative to the working folder."""

    path: str
    sha256: Hex64


class Recipe(Section):
    """One way to train. Criteria are measured on the valid split."""

    network: str
    epochs: Positive
    batch: Positive = 64
    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    plateau: Plateau = Plateau()
    keep: Criterion = "loss"
    loss_weights: tuple[float, float, float] = (0.7, 0.2, 0.1)
    """GoogLeNet's outputs: main, deeper auxiliary head, shallower one."""
    negative_slope: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the activation below zero: 0 is ReLU, more is LeakyReLU."""
    weights: Weights | None = None
    """Fine-tune these, where null draws the first weights; a head of other classes is drawn."""
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The longest gradient, over all weights together; a longer one is scaled down to it."""
    accumulate: bool = False
    """Where a batch does not fit in memory, take it in parts and add up their gradients. Batch norm
    then sees a part at a time."""
    gradients: bool = False
    """Leave the gradients' norms of each layer and epoch in the run: gradients.csv."""
    match_steps: bool = False
    """Give every arm the optimiser steps that the original arm takes."""


class Checkpoint(Section):
    """How often a training is saved, to go on from after an interruption. Results do not change."""

    epochs: Positive | None = None
    minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    """Also within an epoch; 0 saves after each step."""


class Train(Section):
    """How every network is trained, and the recipes."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Positive = 2
    """CPU threads; another number gives other weights."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint: Checkpoint = Checkpoint()
    data: Literal["auto", "memory", "files"] = "auto"
    """Images decoded once and kept, or read from their files in each epoch; auto: if they fit."""
    workers: Count = 0
    """Threads that decode, with `data: files`; 0 for one per core."""
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]


class BestGmean(Section):
    """The threshold with the highest G-mean."""

    rule: Literal["gmean"]


class LeastCost(Section):
    """The cheapest threshold, where a missed positive costs `ratio` times a false alarm."""

    rule: Literal["cost"]
    ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class WantedRecall(Section):
    """The highest threshold that finds at least this share of the positives."""

    rule: Literal["recall"]
    recall: Annotated[float, Field(gt=0, le=1)]


Threshold = Annotated[BestGmean | LeastCost | WantedRecall, Field(discriminator="rule")]


class Evaluate(Section):
    """`positive` is the class that precision, recall and ROC speak of; null for none."""

    positive: str | None = None
    threshold: Threshold = BestGmean(rule="gmean")
    """How the threshold on the positive class's score is chosen, on the valid split."""
    beta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    """Of F-beta: how many times recall counts as much as precision."""
    resamples: Annotated[int, Field(ge=200)] = 2000
    """Of the bootstrap that gives the intervals; 2,000 are enough for two digits."""
    seed: Seed = 0


class Compare(Section):
    """The experiment: every arm with every recipe and seed, against the baseline.

    With `control`, an arm of plain copies, the other arms are set against that as well: it tells
    new pictures from more training steps and evener classes.
    """

    baseline: Name = "original"
    control: Name | None = None
    arms: Annotated[list[Name], Field(min_length=1)]
    recipes: Annotated[list[Name], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    """Three or more: with one, no verdict can tell an effect from the luck of training."""
    resamples: Annotated[int, Field(ge=200)] = 2000
    """Of the bootstrap that gives the differences' intervals."""
    seed: Seed = 0


class Params(Section):
    """The whole file. `version` pins the installed toolkit in a folder without its source."""

    version: str | None = None
    fetch: Fetch
    audit: Audit = Audit()
    prepare: Prepare = Prepare()
    augment: Augment = Augment()
    train: Train
    evaluate: Evaluate = Evaluate()
    compare: Compare

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Params":
        arms = ["original", *self.augment.arms]
        for key, names, known in (
            ("compare.arms", self.compare.arms, arms),
            ("compare.recipes", self.compare.recipes, list(self.train.recipes)),
            ("compare.baseline", [self.compare.baseline], self.compare.arms),
            ("compare.control", filter(None, [self.compare.control]), self.compare.arms),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(f"{key} must name some of {known}, got {name!r}")
        return self


def load(path: Path) -> Params:
    """Read and check params.yaml. Raises InputError that names the file, the line and the key."""
    data = yaml_files.read(path, "`toolkit init` writes one")
    if not isinstance(data, dict):
        raise InputError(f"{path}: must be a mapping of sections, got {type(data).__name__}")
    return _checked(data, lambda error: yaml_files.place(path, validation.located(error, data)))


def parse(data: dict[str, Any], origin: str = "params.yaml") -> Params:
    """Check a mapping. Raises InputError that begins with `origin` and the key."""
    return _checked(data, lambda _: origin)


def _checked(data: dict[str, Any], origin: Callable[[ValidationError], str]) -> Params:
    try:
        return Params.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{origin(error)}: {validation.describe(error, data)}") from error


S = TypeVar("S", bound=Section)


def override(section: S, given: dict[str, Any]) -> S:
    """A section with some keys replaced. Raises InputError that names the option."""
    try:
        return type(section).model_validate(section.model_dump() | given)
    except ValidationError as error:
        raise InputError(f"--{validation.describe(error, given)}") from error
