"""LOOK_CHECKS: pictures that are unlike what a person would have chosen."""

import numpy as np
import numpy.typing as npt

from toolkit.checks.base import Check, CheckContext, Said

MOSTLY = 0.8
"""The share of colour pictures from which on a grey one is odd."""

PixelValues = npt.NDArray[np.floating]


def _beyond(given: CheckContext, check: str, values: PixelValues, words: str, *, low: bool) -> Said:
    """Samples whose value lies below (or above) the threshold, the furthest first."""
    readable, threshold = given.table.readable, given.threshold(check)
    if not len(readable):
        return None, []
    ordered = readable[np.argsort(values[readable] * (1 if low else -1), kind="stable")]
    beyond = values[ordered] < threshold if low else values[ordered] > threshold
    found = [
        given.finding(check, [number], words.format(f"{values[number]:.2f}"), values[number])
        for number in map(int, ordered[beyond])
    ]
    return float(values[ordered[0]]), found


def _dark(given: CheckContext) -> Said:
    words = "nearly all is darker than {} (black is 0, white is 1)"
    return _beyond(given, "dark", given.table.numbers["brightest"], words, low=True)


def _bright(given: CheckContext) -> Said:
    words = "nearly all is brighter than {} (black is 0, white is 1)"
    return _beyond(given, "bright", given.table.numbers["darkest"], words, low=False)


def _blurred(given: CheckContext) -> Said:
    words = "sharpness {} (0 is a flat picture, photos have 0.1 to 1)"
    return _beyond(given, "blurred", given.table.numbers["sharpness"], words, low=True)


def _low_information(given: CheckContext) -> Said:
    words = "its grey levels hold {} of 6 bits"
    return _beyond(given, "low_information", given.table.numbers["information"], words, low=True)


def _odd_aspect(given: CheckContext) -> Said:
    words = "its longer side is {} times the shorter"
    sides = given.table.numbers["width"], given.table.numbers["height"]
    ratio = np.maximum(*sides) / np.maximum(np.minimum(*sides), 1)
    return _beyond(given, "odd_aspect", ratio, words, low=False)


def _odd_size(given: CheckContext) -> Said:
    readable = given.table.readable
    if not len(readable):
        return None, []
    side = np.sqrt(given.table.numbers["width"] * given.table.numbers["height"])
    ratio = np.maximum(side, 1) / np.median(side[readable])
    words = "its sides are {} times as long, or as short, as those of most"
    return _beyond(given, "odd_size", np.maximum(ratio, 1 / ratio), words, low=False)


def _grey(given: CheckContext) -> Said:
    readable, colour = given.table.readable, given.table.numbers["colour"]
    grey = readable[colour[readable] < given.threshold("grey")]
    share = 1 - len(grey) / max(1, len(readable))
    if share < MOSTLY:
        return None, []
    message = f"grey, and {100 * share:.0f} % of the pictures are in colour"
    return None, [given.finding("grey", [n], message, colour[n]) for n in map(int, grey)]


LOOK_CHECKS: dict[str, Check] = {
    "dark": Check(_dark, "99 % of the pixels darker than {}"),
    "bright": Check(_bright, "95 % of the pixels brighter than {}"),
    "blurred": Check(_blurred, "sharpness under {}"),
    "low_information": Check(_low_information, "grey levels hold under {} of 6 bits"),
    "odd_aspect": Check(_odd_aspect, "one side over {} times the other"),
    "odd_size": Check(_odd_size, "sides over {} times, or under that part of, the median"),
    "grey": Check(_grey, "grey (channels on average less than {} apart) among colour pictures"),
}
