"""The sections evaluate and compare of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from toolkit.io.schema import Name, Section, Seed


class GmeanRule(Section):
    """The threshold with the highest G-mean."""

    rule: Literal["gmean"]


class CostRule(Section):
    """The cheapest threshold, where a missed positive costs `ratio` times a false alarm."""

    rule: Literal["cost"]
    ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RecallRule(Section):
    """The highest threshold that finds at least this share of the positives."""

    rule: Literal["recall"]
    recall: Annotated[float, Field(gt=0, le=1)]


ThresholdRule = Annotated[GmeanRule | CostRule | RecallRule, Field(discriminator="rule")]


class EvaluateParams(Section):
    """`positive` is the class that precision, recall and ROC speak of; null for none."""

    positive: str | None = None
    threshold: ThresholdRule = GmeanRule(rule="gmean")
    """How the threshold on the positive class's score is chosen, on the valid split."""
    beta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    """Of F-beta: how many times recall counts as much as precision."""
    resamples: Annotated[int, Field(ge=200)] = 2000
    """Of the bootstrap that gives the intervals; 2,000 are enough for two digits."""
    seed: Seed = 0


class CompareParams(Section):
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
