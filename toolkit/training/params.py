"""The section `train` of params.yaml, and recipes that need no params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from toolkit.io.schema import (
    Count,
    Integer,
    Name,
    Number,
    Positive,
    PositiveNumber,
    Section,
    Sha256,
)

Minutes = Annotated[Number, Field(ge=0)]
ImageSide = Annotated[Integer, Field(ge=16)]  # pixels
WIDTHS = (1, 0.5, 0.25, 0.125)
FINISHED = "finished.json"
"""The note of a training that ended, in the folder where its checkpoint was."""
FROZEN = "efficientnet_lite0"
"""The network whose ImageNet weights are installed."""
Criterion = Literal["loss", "accuracy", "gmean"]


class Plateau(Section):
    """ReduceLROnPlateau's settings.

    The learning rate is multiplied by `factor`, down to `floor`, when `watch` has not improved for
    `patience` epochs.
    """

    watch: Criterion = "loss"
    factor: Annotated[Number, Field(gt=0, lt=1)] = 0.1
    patience: Count = 10
    floor: Annotated[Number, Field(ge=0)] = 0.0


class WeightsFile(Section):
    """A state dict of the network: safetensors, or .pth of torch.save, of which no code is run.

    The path is relative to the working folder.
    """

    path: str
    sha256: Sha256


class Recipe(Section):
    """How a network is trained. Criteria are measured on the valid split."""

    network: str
    width: Number = Field(1, exclude_if=lambda width: width == 1)
    """Fraction of the channels of each layer of a GoogLeNet or a ResNet: 1, 0.5, 0.25 or 0.125."""
    epochs: Positive
    size: ImageSide | None = Field(None, exclude_if=lambda size: size is None)
    """Height and width, in pixels, that images are resized to; null keeps the size that they share,
    and chooses one where they differ."""
    batch: Positive = 64
    learning_rate: PositiveNumber = 0.001
    plateau: Plateau = Plateau()
    keep: Criterion = "loss"
    """Decides which epoch's weights are kept."""
    loss_weights: tuple[PositiveNumber, PositiveNumber, PositiveNumber] = (0.7, 0.2, 0.1)
    """Of GoogLeNet's outputs: main, deeper auxiliary head, shallower one."""
    negative_slope: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Slope of the activation below zero: 0 is ReLU, more is LeakyReLU."""
    weights: WeightsFile | None = None
    """Weights to fine-tune, or those of a frozen network; null starts from random ones, or takes
    the published ones. A head for other classes is random."""
    clip_norm: PositiveNumber | None = None
    """Longest gradient, over all weights together; a longer one is scaled down to it."""
    accumulate: bool = False
    """Take a batch that does not fit in memory in parts and add up their gradients. Batch norm then
    sees one part at a time."""
    gradients: bool = False
    """Write the gradient norm of each layer and epoch to the run's gradients.csv."""
    frozen: bool = Field(False, exclude_if=lambda frozen: not frozen)
    """Keep ImageNet's weights, and fit only the last layer: a class-balanced logistic regression,
    anew in each epoch with a stronger penalty; where images are in folds, with one. The network
    is a backbone: efficientnet_lite0, torchvision.ResNet50_Weights.IMAGENET1K_V2 or another of
    torchvision's weights, timm.NAME, or torchvision.resnet50 with `weights` on disk."""
    match_steps: bool = False
    """Give every arm as many optimizer steps as the original arm takes."""

    @property
    def measured(self) -> int:
        """How many images are measured at once: without gradients four times a batch fits.

        More than 64 are hardly faster.
        """
        return max(self.batch, min(4 * self.batch, 64))

    @field_validator("width")
    @classmethod
    def _check_width(cls, width: float) -> float:
        if width not in WIDTHS:
            raise ValueError(f"must be one of {', '.join(map(str, WIDTHS))}, got {width:g}")
        return width

    @model_validator(mode="after")
    def _check_frozen(self) -> "Recipe":
        if self.frozen and self.network.split(".")[0] not in (FROZEN, "torchvision", "timm"):
            expected = f"{FROZEN}, torchvision.<weights> or timm.<name>"
            raise ValueError(f"frozen needs a backbone as network, {expected}, got {self.network}")
        return self


class Checkpoint(Section):
    """How often a training is saved, to resume after an interruption. Results do not change."""

    epochs: Positive | None = None
    minutes: Minutes = 2.0
    """Also within an epoch; 0 saves after each step."""


class TrainParams(Section):
    """The machine's part in training, and the recipes."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Positive = 1
    """CPU threads of a run; another number gives other weights."""
    jobs: Literal["auto"] | Positive = "auto"
    """Runs that are trained at once, which changes none of them; auto: as cores and memory allow,
    so that no core is idle at the end. On a GPU always one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint: Checkpoint = Checkpoint()
    data: Literal["auto", "memory", "files"] = "auto"
    """Keep decoded images in memory, or read files in each epoch; auto: memory if they fit."""
    workers: Count = 0
    """Processes that decode, with `data: files`; 0 means one per core."""
    tracker: Literal["mlflow", "wandb"] | None = None
    """Log trained runs there as well, by that package; results do not change."""
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]


RECIPES: dict[str, Recipe] = {
    "recommended": Recipe(network=FROZEN, frozen=True, epochs=3, size=192),
    "resnet18": Recipe(network="resnet18", epochs=8),
    "googlenet": Recipe(network="googlenet", epochs=12),
}
"""Recipes by name for use without params.yaml."""
