"""The sections of params.yaml that make the data: fetch, audit, prepare, augment."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from toolkit.section import Commit, Hex64, Name, Positive, Section, Seed, Share

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

OnFile = Literal["drop", "warn", "fail"]
OnGroup = Literal["drop", "group", "warn", "fail"]
OnAll = Literal["warn", "fail"]
Above = Annotated[float, Field(gt=0)]


class Limits(Section):
    """What one image file may cost (see `codec.Limits`); what costs more is unreadable.

    Memory grows with them: 12 bytes a pixel and the file itself, under 1 GB as they are.
    """

    pixels: Positive = 64_000_000
    bytes: Positive = 200_000_000
    seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Of processor time."""


class Thresholds(Section):
    """From where on a check flags; what each number is, `toolkit audit` says in its table."""

    enormous: Above = 25
    """Million pixels."""
    tiny: Positive = 24
    """Pixels of the shorter side."""
    near_duplicates: Annotated[float, Field(ge=0.8, le=1)] = 0.95
    dark: Share = 0.25
    bright: Share = 0.7
    blurred: Share = 0.08
    low_information: Annotated[float, Field(ge=0, le=6)] = 2
    odd_aspect: Annotated[float, Field(ge=1)] = 3
    odd_size: Annotated[float, Field(ge=1)] = 8
    grey: Share = 0.01
    shortcuts: Share = 0.2
    imbalance: Annotated[float, Field(ge=1)] = 3


class Audit(Section):
    """What each check does with what it finds.

    `drop`: leave the files out (of duplicates all but one); `group`: keep them in one split;
    `warn`: say it; `fail`: stop the pipeline; `skip`: do not look, which takes cleanlab and time.
    """

    limits: Limits = Limits()
    thresholds: Thresholds = Thresholds()
    empty: Literal["drop", "fail"] = "drop"
    not_an_image: Literal["drop", "fail"] = "drop"
    truncated: Literal["drop", "fail"] = "drop"
    unreadable: Literal["drop", "fail"] = "drop"
    wrong_extension: OnFile = "warn"
    animated: OnFile = "warn"
    enormous: OnFile = "warn"
    tiny: OnFile = "warn"
    exact_duplicates: OnGroup = "group"
    near_duplicates: OnGroup = "group"
    conflicts: OnFile = "warn"
    leaks: OnAll = "warn"
    dark: OnFile = "warn"
    bright: OnFile = "warn"
    blurred: OnFile = "warn"
    low_information: OnFile = "warn"
    odd_aspect: OnFile = "warn"
    odd_size: OnFile = "warn"
    grey: OnFile = "warn"
    shortcuts: OnAll = "warn"
    label_errors: Literal["skip", "drop", "warn", "fail"] = "skip"
    imbalance: OnAll = "warn"


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


Split = Literal["source"] | ByCounts | ByFractions


class Prepare(Section):
    """How the images are split and resized."""

    size: Annotated[int, Field(ge=16, le=1024)] = 128
    seed: Seed = 0
    split: Split = ByFractions(fractions=Fractions(train=0.7, valid=0.15, test=0.15))
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """With `split: source`, the share of train that becomes valid where the source has none."""


# --- augment ----------------------------------------------------------------------------------


class Choice(Section):
    """One entry of a policy: a transform, how often it is drawn, and its fixed arguments.

    A group (`entries.GROUPS`) has entries of its own, `of`; `limit` bounds what is drawn
    (`entries.LIMITS`).
    """

    transform: str
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    arguments: dict[str, Any] = {}
    of: list["Choice"] = []
    limit: dict[str, Any] = {}


Choices = str | Annotated[list[Choice], Field(min_length=1)]
"""A named policy, or one written out."""


class ByClass(Section):
    """A policy for each class; `otherwise` is that of the classes that are not named."""

    by_class: Annotated[dict[str, Choices], Field(min_length=1)]
    otherwise: Choices | None = None


class Arm(Section):
    """One version of the training data.

    `without`: the names of transforms that the arm leaves out of its policy.
    """

    policy: Choices | ByClass
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
