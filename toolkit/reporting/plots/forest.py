"""A comparison -> the rows of its forest plots: values with their intervals, and words."""

from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.io.text import shorten
from toolkit.reporting.plots.panels import Interval, Style
from toolkit.reporting.plots.style import arm_styles

if TYPE_CHECKING:
    from toolkit.evaluation.comparison import Comparison
    from toolkit.evaluation.contrasts import Contrast

DIFFERENCE = "← worse\u2003difference of G-mean\u2003better →"
RECALL = "← worse\u2003difference of recall\u2003better →"
GMEAN = "G-mean on test"
MINUS = "\u2212"


def difference_intervals(compared: "Comparison") -> list[Interval]:
    """Every contrast's difference of G-mean, with the verdict."""
    styles = arm_styles(compared.arms)
    return [_difference(contrast, styles[contrast.arm]) for contrast in compared.contrasts]


def _difference(contrast: "Contrast", style: Style) -> Interval:
    row = _change(contrast, "gmean", contrast.recipe, style)
    sure = contrast.verdict != "inconclusive"
    return replace(row, note=f"{contrast.verdict}\u2002{row.note}", strong=sure)


def _change(contrast: "Contrast", metric: str, group: str, style: Style) -> Interval:
    found = contrast.differences[metric]
    label, brief = (
        f"{shorten(contrast.arm, most)} {MINUS} {shorten(contrast.against, most)}"
        for most in (200, 14)
    )
    note = (
        f"{signed_number(found.value)} ({signed_number(found.low)} to {signed_number(found.high)})"
    )
    return Interval(group, label, found.value, found.low, found.high, style, note, brief=brief)


def recall_intervals(compared: "Comparison", recipe: str) -> list[Interval]:
    """Differences to the baseline of the recall of each class, with one recipe."""
    styles = arm_styles(compared.arms)
    against = [of for of in compared.against(compared.baseline) if of.recipe == recipe]
    rows = [
        _change(contrast, f"recall_{name}", name, styles[contrast.arm])
        for name in compared.test_images
        for contrast in against
        if f"recall_{name}" in contrast.differences
    ]
    # With one arm alone its name would stand under each class.
    return (
        [replace(row, group="", label=row.group, brief="") for row in rows]
        if len(against) == 1
        else rows
    )


def arm_intervals(compared: "Comparison", metric: str = "gmean") -> list[Interval]:
    """Every arm's mean of a metric with its interval, and a dot for each of its seeds."""
    styles = arm_styles(compared.arms)
    return [
        replace(
            plain_interval(
                row.recipe, row.arm, (row.mean(metric), *row.intervals[metric]), styles[row.arm]
            ),
            dots=row.values[metric],
        )
        for row in compared.estimates
    ]


def plain_interval(
    group: str, label: str, numbers: tuple[float, float, float], style: Style
) -> Interval:
    """A value, its low and its high end, written at the right."""
    value, low, high = numbers
    return Interval(group, label, *numbers, style, f"{value:.3f} ({low:.3f} to {high:.3f})")


def signed_number(value: float) -> str:
    """A difference with its sign and three decimals."""
    return f"{value:+z.3f}".replace("-", MINUS)
