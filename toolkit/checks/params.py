"""Settings of the audit: the action of each check, and the thresholds."""

from typing import Annotated, Literal

from pydantic import Field

from toolkit.io.images import ImageLimits
from toolkit.io.schema import Fraction, Number, Positive, PositiveNumber, Section

DamageAction = Literal["drop", "fail"]
FileAction = Literal["drop", "warn", "fail"]
DuplicateAction = Literal["drop", "group", "warn", "fail"]
DatasetAction = Literal["warn", "fail"]
"""The actions that a check may take, by what its findings are about."""


class CheckThresholds(Section):
    """The value beyond which each check flags an image or a dataset."""

    enormous: PositiveNumber = 25
    """Megapixels; larger images are flagged."""
    tiny: Positive = 24
    """Pixels of the shorter side; smaller images are flagged."""
    near_duplicates: Annotated[Number, Field(ge=0.8, le=1)] = 0.95
    """Similarity of two images, 0 to 1; see `hashing.similarity`."""
    dark: Fraction = 0.25
    """Luma, 0 to 1; flagged if 99% of the pixels are darker."""
    bright: Fraction = 0.7
    """Luma, 0 to 1; flagged if 95% of the pixels are brighter."""
    blurred: Fraction = 0.08
    """Sharpness, as `measures` defines it; lower is flagged."""
    low_information: Annotated[Number, Field(ge=0, le=6)] = 2
    """Entropy of the gray levels in bits; lower is flagged."""
    odd_aspect: Annotated[Number, Field(ge=1)] = 3
    """Longer side over shorter side."""
    odd_size: Annotated[Number, Field(ge=1)] = 8
    """Factor by which an image's side differs from the median."""
    grey: Fraction = 0.01
    """Mean difference of the channels, 0 to 1; lower is grayscale."""
    shortcuts: Fraction = 0.2
    """How well a file property predicts the class: 0 is chance, 1 is perfect."""
    imbalance: Annotated[Number, Field(ge=1)] = 3
    """Images of the largest class per image of the smallest."""


class AuditParams(Section):
    """The action of each check, in the order in which the checks run.

    `drop` leaves the files out (of duplicates with one label, all but one); `group` keeps them in
    one split; `warn` reports them; `fail` stops the pipeline; `skip` does not run the check, which
    takes cleanlab and time.
    """

    limits: ImageLimits = ImageLimits()
    thresholds: CheckThresholds = CheckThresholds()
    empty: DamageAction = "drop"
    not_an_image: DamageAction = "drop"
    truncated: DamageAction = "drop"
    unreadable: DamageAction = "drop"
    wrong_extension: FileAction = "warn"
    animated: FileAction = "warn"
    enormous: FileAction = "warn"
    tiny: FileAction = "warn"
    companions: FileAction = "warn"
    name_groups: DatasetAction = "warn"
    exact_duplicates: DuplicateAction = "group"
    near_duplicates: DuplicateAction = "group"
    conflicts: FileAction = "warn"
    leaks: DatasetAction = "warn"
    dark: FileAction = "warn"
    bright: FileAction = "warn"
    blurred: FileAction = "warn"
    low_information: FileAction = "warn"
    odd_aspect: FileAction = "warn"
    odd_size: FileAction = "warn"
    grey: FileAction = "warn"
    shortcuts: DatasetAction = "warn"
    label_errors: Literal["skip", "drop", "warn", "fail"] = "skip"
    imbalance: DatasetAction = "warn"
