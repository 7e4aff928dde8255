"""What each check does with what it finds, and from where on it flags."""

from typing import Annotated, Literal

from pydantic import Field

from toolkit.io.images import ImageLimits
from toolkit.io.schema import Positive, Section, Share

OnFile = Literal["drop", "warn", "fail"]
OnGroup = Literal["drop", "group", "warn", "fail"]
OnAll = Literal["warn", "fail"]
Above = Annotated[float, Field(gt=0)]


class CheckThresholds(Section):
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


class AuditParams(Section):
    """What each check does with what it finds.

    `drop`: leave the files out (of duplicates all but one); `group`: keep them in one split;
    `warn`: say it; `fail`: stop the pipeline; `skip`: do not look, which takes cleanlab and time.
    """

    limits: ImageLimits = ImageLimits()
    thresholds: CheckThresholds = CheckThresholds()
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
