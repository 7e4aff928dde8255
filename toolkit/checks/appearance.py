"""APPEARANCE_CHECKS: images that no person would have chosen for a dataset."""

import numpy as np
import numpy.typing as npt

from toolkit.checks.base import Check, CheckContext, CheckResult

MOSTLY = 0.8
"""Fraction of color images that a folder needs for a grayscale one to be odd."""

Values = npt.NDArray[np.floating]


def _beyond(
    context: CheckContext, check: str, values: Values, message: str, *, low: bool
) -> CheckResult:
    """Report samples whose value lies below (or above) the threshold, the furthest first."""
    readable, threshold = context.measurements.readable, context.threshold(check)
    if not len(readable):
        return None, []
    ordered = readable[np.argsort(values[readable] * (1 if low else -1), kind="stable")]
    beyond = values[ordered] < threshold if low else values[ordered] > threshold
    findings = [
        context.finding(check, [index], message.format(values[index]), values[index])
        for index in map(int, ordered[beyond])
    ]
    return float(values[ordered[0]]), findings


def _dark(context: CheckContext) -> CheckResult:
    message = "99% of the pixels are darker than {:.2f} (0 is black, 1 is white)"
    return _beyond(context, "dark", context.measurements.columns["luma_99"], message, low=True)


def _bright(context: CheckContext) -> CheckResult:
    message = "95% of the pixels are brighter than {:.2f} (0 is black, 1 is white)"
    return _beyond(context, "bright", context.measurements.columns["luma_05"], message, low=False)


def _blurred(context: CheckContext) -> CheckResult:
    message = "sharpness {:.2f} (a flat image has 0, photos have 0.1 to 1)"
    return _beyond(context, "blurred", context.measurements.columns["sharpness"], message, low=True)


def _low_information(context: CheckContext) -> CheckResult:
    message = "the gray levels have an entropy of {:z.2f} of 6 bits"
    entropy = context.measurements.columns["entropy"]
    return _beyond(context, "low_information", entropy, message, low=True)


def _odd_aspect(context: CheckContext) -> CheckResult:
    sides = context.measurements.columns["width"], context.measurements.columns["height"]
    ratio = np.maximum(*sides) / np.maximum(np.minimum(*sides), 1)
    message = "the longer side is {:.2f} times the shorter one"
    return _beyond(context, "odd_aspect", ratio, message, low=False)


def _odd_size(context: CheckContext) -> CheckResult:
    columns, readable = context.measurements.columns, context.measurements.readable
    if not len(readable):
        return None, []
    side = np.sqrt(columns["width"] * columns["height"])
    ratio = np.maximum(side, 1) / np.median(side[readable])
    message = "the side length differs from the median by a factor of {:.2f}"
    return _beyond(context, "odd_size", np.maximum(ratio, 1 / ratio), message, low=False)


def _grey(context: CheckContext) -> CheckResult:
    readable = context.measurements.readable
    colorfulness = context.measurements.columns["colorfulness"]
    gray = readable[colorfulness[readable] < context.threshold("grey")]
    in_color = 1 - len(gray) / max(1, len(readable))
    if in_color < MOSTLY:
        return None, []
    message = f"grayscale, while {in_color:.0%} of the images are in color"
    return None, [
        context.finding("grey", [index], message, colorfulness[index]) for index in map(int, gray)
    ]


APPEARANCE_CHECKS: dict[str, Check] = {
    "dark": Check(_dark, "99% of the pixels darker than {}"),
    "bright": Check(_bright, "95% of the pixels brighter than {}"),
    "blurred": Check(_blurred, "sharpness under {}"),
    "low_information": Check(_low_information, "entropy of the gray levels under {} of 6 bits"),
    "odd_aspect": Check(_odd_aspect, "one side over {} times the other"),
    "odd_size": Check(_odd_size, "side length over {} times larger or smaller than the median"),
    "grey": Check(_grey, "grayscale (channels differ by less than {}) among color images"),
}
