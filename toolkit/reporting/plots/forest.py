"""The rows of a comparison's forest plots: values with their intervals and labels."""

from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.evaluation.judgment import UNKNOWN
from toolkit.io.text import shorten
from toolkit.reporting.plots.panels import Interval, Style
from toolkit.reporting.plots.style import arm_styles

if TYPE_CHECKING:
    from toolkit.evaluation.comparison import Comparison
    from toolkit.evaluation.contrasts import ArmEstimate, Contrast

DIFFERENCE = "← worse\u2003difference in G-mean\u2003better →"
RECALL = "← worse\u2003difference in recall\u2003better →"
GMEAN = "test G-mean"
MINUS = "\u2212"


def difference_intervals(compared: "Comparison") -> list[Interval]:
    """Return the difference that each verdict is about, with the verdict."""
    styles = arm_styles(compared.arms)
    return [_difference(contrast, styles[contrast.arm]) for contrast in compared.contrasts]


def _difference(contrast: "Contrast", style: Style) -> Interval:
    row = _change(contrast, contrast.metric, contrast.recipe, style)
    conclusive = contrast.verdict != UNKNOWN
    return replace(row, note=f"{contrast.verdict}\u2002{row.note}", strong=conclusive)


def _change(contrast: "Contrast", metric: str, group: str, style: Style) -> Interval:
    difference = contrast.differences[metric]
    label, brief = (
        f"{shorten(contrast.arm, limit)} {MINUS} {shorten(contrast.against, limit)}"
        for limit in (200, 14)
    )
    ends = (difference.value, difference.low, difference.high)
    value, low, high = map(format_signed, ends)
    return Interval(group, label, *ends, style, f"{value} ({low} to {high})", brief=brief)


def recall_intervals(compared: "Comparison", recipe: str) -> list[Interval]:
    """Return the differences from the baseline in the recall of each class, for one recipe."""
    styles = arm_styles(compared.arms)
    against = [of for of in compared.against(compared.baseline) if of.recipe == recipe]
    rows = [
        _change(contrast, f"recall_{name}", name, styles[contrast.arm])
        for name in compared.test_images
        for contrast in against
        if f"recall_{name}" in contrast.differences
    ]
    # With a single arm, its name would be repeated under each class.
    return (
        [replace(row, group="", label=row.group, brief="") for row in rows]
        if len(against) == 1
        else rows
    )


def arm_intervals(compared: "Comparison") -> list[Interval]:
    """Return every arm's mean of the tested metric with its interval, and a dot for each seed."""
    styles = arm_styles(compared.arms)
    return [_arm(row, styles[row.arm]) for row in compared.estimates]


def _arm(row: "ArmEstimate", style: Style) -> Interval:
    numbers = (row.mean(row.metric), *row.intervals[row.metric])
    plain = plain_interval(row.recipe, row.arm, numbers, style)
    return replace(plain, dots=row.values[row.metric])


def plain_interval(
    group: str, label: str, numbers: tuple[float, float, float], style: Style
) -> Interval:
    """Return a row for (value, low, high), with the numbers as its note."""
    value, low, high = numbers
    return Interval(group, label, *numbers, style, f"{value:.3f} ({low:.3f} to {high:.3f})")


def format_signed(value: float) -> str:
    """Format a difference with its sign and three decimals."""
    return f"{value:+z.3f}".replace("-", MINUS)
