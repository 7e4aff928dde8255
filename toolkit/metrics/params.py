"""The sections `evaluate` and `compare` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

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


class GmeanRule(Section):
    """The threshold with the highest G-mean."""

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
    resamples: Resamples = 2000
    """Bootstrap resamples for the confidence intervals of the differences."""
    seed: Seed = 0
