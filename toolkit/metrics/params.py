"""The sections `evaluate` and `compare` of params.yaml."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from toolkit.io.schema import (
    Distinct,
    Integer,
    Name,
    Number,
    PositiveNumber,
    Section,
    Seed,
)

Resamples = Annotated[Integer, Field(ge=200)]
MARGIN = 0.02
"""G-means that differ by less are practically equal."""


class GmeanRule(Section):
    """The threshold with the highest smoothed G-mean (`thresholds.smooth_threshold`)."""

    rule: Literal["gmean"]


class CostRule(Section):
    """The threshold with the lowest cost; a false negative costs `ratio` false positives."""

    rule: Literal["cost"]
    ratio: PositiveNumber


class RecallRule(Section):
    """The highest threshold that reaches at least this recall."""

    rule: Literal["recall"]
    recall: Annotated[Number, Field(gt=0, le=1)]


ThresholdRule = Annotated[GmeanRule | CostRule | RecallRule, Field(discriminator="rule")]


class EvaluateParams(Section):
    """How the predictions of one run are evaluated."""

    positive: str | None = None
    """The class that precision, recall and ROC are about; null for none."""
    threshold: ThresholdRule = GmeanRule(rule="gmean")
    """How the threshold on the positive class's score is chosen on the valid split."""
    beta: PositiveNumber = 2.0
    """Weight of recall in F-beta: how many times as important as precision it is."""
    resamples: Resamples = 2000
    """Bootstrap resamples for the confidence intervals; 2,000 give two stable digits."""
    seed: Seed = 0


class PrimaryContrast(Section):
    """The one contrast that is declared before any result: `arm` against `against`."""

    recipe: Name
    arm: Name
    against: Name


def declare_primary(
    baseline: str, control: str | None, arms: Sequence[str], recipes: Sequence[str]
) -> tuple[str, str, str] | None:
    """Return recipe, arm and against of the primary contrast by rule; None with nothing to compare.

    It is that of the first arm besides the control with the baseline, with the first recipe.
    """
    others = [arm for arm in arms if arm not in (baseline, control)]
    others += [arm for arm in arms if arm == control != baseline]
    if not others or not recipes:
        return None
    return recipes[0], others[0], baseline


LookRuns = Annotated[Integer, Field(ge=2)]


def _check_rising(looks: list[int]) -> list[int]:
    if len(looks) == 1 or any(one >= other for one, other in pairwise(looks)):
        raise PydanticCustomError("rising", "two or more rising numbers, or none")
    return looks


class CompareParams(Section):
    """Which arms, recipes and seeds are trained and compared with the baseline.

    `control` names an arm of plain duplicates. The other arms are compared with it too, which
    separates the effect of new images from that of more training steps and balanced classes.
    """

    baseline: Name = "original"
    control: Name | None = None
    arms: Distinct[Name]
    recipes: Distinct[Name]
    seeds: Distinct[Seed]
    """At least three: one run cannot separate the effect of an arm from the noise of training."""
    looks: Annotated[list[LookRuns], AfterValidator(_check_rising)] = Field(
        [], exclude_if=lambda looks: not looks
    )
    """Numbers of seeds at which the primary contrast is looked at, planned before any result; the
    last is the most there will be. False alarms stay at 5% in all. None: it is looked at once."""
    primary: PrimaryContrast | None = None
    """The contrast tested at 5% without correction; null for that of `declare_primary`. The others
    are exploratory, and Holm-corrected."""
    margin: Annotated[Number, Field(ge=0, le=0.5)] = MARGIN
    """G-means that differ by less are practically equal."""
    resamples: Resamples = 2000
    """Bootstrap resamples for the confidence intervals of the differences."""
    seed: Seed = 0

    @property
    def declared(self) -> tuple[str, str, str] | None:
        """Recipe, arm and against of the primary contrast: the one that is named, or by rule."""
        if self.primary:
            return self.primary.recipe, self.primary.arm, self.primary.against
        return declare_primary(self.baseline, self.control, self.arms, self.recipes)
