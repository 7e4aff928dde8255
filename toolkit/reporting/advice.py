"""The page of `advise`: the answer, what would help more, the remedies, and the photos."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.checks.findings import Audit
from toolkit.evaluation import advice, judgment
from toolkit.evaluation.advice import Advice
from toolkit.evaluation.remedies import ErrorCounts, ErrorImage, RemedyResult
from toolkit.evaluation.verdict import format_difference
from toolkit.io import images
from toolkit.io.manifest import Manifest
from toolkit.io.samples import reduced_picture
from toolkit.io.text import shorten
from toolkit.reporting import gallery, html
from toolkit.reporting.audit import audit_headline
from toolkit.reporting.gallery import InlineImage

MAX_DOTS, DOTS_A_ROW, DOT = 200, 20, 15
MAX_PHOTOS = 24
"""Photos shown of each kind of error."""
CURVE = {"width": 340, "height": 150, "left": 40, "right": 320, "top": 14, "bottom": 118}
"""Of the learning curve's picture, in pixels."""
RAIL = 240
"""Width of an interval's picture, in its own units."""
CONTENTS = (
    ("answer", "Answer"),
    ("remedies", "Remedies"),
    ("photos", "Photos"),
    ("data", "Data"),
    ("method", "Method"),
)
TONES = {
    judgment.BETTER: "good",
    judgment.WORSE: "bad",
    judgment.EQUAL: "",
    judgment.UNKNOWN: "open",
    "": "",
}


@dataclass(frozen=True)
class ErrorStrip:
    """Photos that the chosen remedy gets wrong, of a `total`, under a title and a note."""

    title: str
    note: str
    pictures: tuple[InlineImage, ...]
    total: int


def advice_page(found: Advice, audit: Audit, table: Manifest, folder: Path) -> str:
    """Return the page as HTML; `table` are the images of `folder` that were tested.

    Raises InputError for a photo that can no longer be read.
    """
    return html.render_template("advice.html.j2", advice_values(found, audit, table, folder))


def advice_values(found: Advice, audit: Audit, table: Manifest, folder: Path) -> dict[str, Any]:
    """Return the values of the template."""
    chosen, nothing = found.chosen, found.nothing
    tests = {1: "once", 2: "twice"}.get(found.repeats, f"{found.repeats} times")
    return {
        "folder": found.folder,
        "contents": CONTENTS,
        "badge": advice.badge(found),
        "tone": TONES[chosen.verdict] if found.taken else TONES[judgment.UNKNOWN],
        "headline": advice.headline(found),
        "lead": advice.effect_sentence(found),
        "repeats": tests,
        "rare": chosen.errors.rare,
        "found": round(chosen.errors.found),
        "was_found": round(nothing.errors.found),
        "others": chosen.errors.others,
        "alarms": round(chosen.errors.alarms),
        "was_alarms": round(nothing.errors.alarms),
        "dots": place_dots(round(chosen.errors.found), chosen.errors.rare),
        "numbers": _numbers(chosen),
        "curve": draw_learning(found.learning),
        "steps": list(advice.next_steps(found)),
        "looks": places_to_look(chosen.errors, found.comparison.rare, audit),
        "rows": _rows(found),
        "ranking": [*advice.ranking_sentences(found), *advice.end_sentences(found)],
        "method": (
            f"Each was tested on all {sum(found.counts.values())} photos in {found.folds} folds, "
            f"{tests}. Against doing nothing; one comparison was declared before, the others are "
            "corrected for being several."
        ),
        "strips": error_strips(
            chosen.errors, found.comparison.rare, partial(_photos, table, folder)
        ),
        "counts": [["class", "images"], *([name, str(n)] for name, n in found.counts.items())],
        "notes": found.notes,
        "audit": f"Audit: {audit_headline(audit)}",
        "details": _details(found),
    }


def _numbers(result: RemedyResult) -> list[str]:
    low, high = result.interval
    lines = [f"G-mean {result.gmean:.3f} ({low:.3f} to {high:.3f})"]
    if result.difference:
        lines.append(format_difference(result.difference))
    return [*lines, *([f"in ranking: AUC {result.auc:.3f}"] if result.auc is not None else [])]


def _details(found: Advice) -> list[str]:
    declared = advice.TITLES[found.comparison.declared]
    features = (
        f"turned into features by {found.backbone}, trained on ImageNet and not changed. "
        "Classifiers on the features are logistic regressions."
    )
    networks = (
        f"classified by networks from random weights ({found.network}), one for each fold; the "
        "epoch with the lowest loss on the photos trained on was kept."
    )
    return [
        f"Photos were resized to {found.size} x {found.size} pixels and "
        f"{networks if found.backbone is None else features}",
        "A photo is scored only by classifiers trained without its fold; thresholds come from the "
        "other folds too. New images are used only where their original is trained on. Of "
        "duplicates one photo was kept.",
        f'Declared before any result: "{declared}" against "{advice.TITLES[advice.NOTHING]}", '
        "tested at 5%. Intervals hold for classifiers trained on this many photos.",
        *advice.look_sentences(found),
        f"{found.seconds:.0f} s of CPU time in all.",
    ]


# --- pictures of numbers ----------------------------------------------------------------------


def place_dots(hits: int, total: int) -> dict[str, Any] | None:
    """Place a dot for each rare photo; None for more than people count."""
    if total > MAX_DOTS:
        return None
    marks = [
        {
            "x": DOT * (number % DOTS_A_ROW) + DOT / 2,
            "y": DOT * (number // DOTS_A_ROW) + DOT / 2,
            "r": 5.5 if number < hits else 4.5,
            "kind": "hit" if number < hits else "miss",
        }
        for number in range(total)
    ]
    rows = -(-total // DOTS_A_ROW)
    return {"width": DOT * DOTS_A_ROW, "height": DOT * rows, "marks": marks}


def draw_learning(learning: Mapping[int, float]) -> dict[str, Any] | None:
    """Place the points of a learning curve; the horizontal axis is that of square roots."""
    counts, values = list(learning), list(learning.values())
    if len(counts) < 3 or not any(values):
        return None
    low, high = _scale(values)
    roots = [count**0.5 for count in counts]
    across = (CURVE["right"] - CURVE["left"]) / (roots[-1] - roots[0])
    points = [
        {
            "x": round(CURVE["left"] + across * (root - roots[0]), 1),
            "y": _height(value, low, high),
            "count": count,
        }
        for root, value, count in zip(roots, values, counts, strict=True)
    ]
    joined = [f"{point['x']},{point['y']}" for point in points]
    grid = [low, (low + high) / 2, high]
    return CURVE | {
        "points": points,
        "measured": " ".join(joined[:-1]),
        "expected": " ".join(joined[-2:]),
        "grid": [{"y": _height(value, low, high), "text": f"{value:.3g}"} for value in grid],
        "alt": "G-mean by the number of rare photos: "
        + ", ".join(f"{n} give {value:.3f}" for n, value in learning.items()),
    }


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Return ends of an axis around the values, multiples of 0.02, at least 0.04 apart."""
    low, high = (round(50 * end) / 50 for end in (min(values) - 0.01, max(values) + 0.01))
    return max(0.0, min(low, high - 0.04)), min(1.0, high)


def _height(value: float, low: float, high: float) -> float:
    part = (value - low) / (high - low)
    return round(CURVE["bottom"] - part * (CURVE["bottom"] - CURVE["top"]), 1)


def _rows(found: Advice) -> list[dict[str, Any]]:
    results = found.comparison.results
    rails = draw_rails([(result.gmean, result.interval) for result in results])
    return [
        {
            "title": advice.TITLES[result.name],
            "recipe": "",
            "tags": _tags(result, found),
            "chosen": result.name == found.taken,
            "tone": TONES[result.verdict],
            "verdict": result.verdict or "baseline",
            "rail": rail,
            "found": round(result.errors.found),
            "rare": result.errors.rare,
            "alarms": round(result.errors.alarms),
            "more": {"CPU": f"{result.seconds:.1f} s"},
        }
        for result, rail in zip(results, rails, strict=True)
    ]


def draw_rails(measured: Sequence[tuple[float, tuple[float, float]]]) -> list[dict[str, Any]]:
    """Place G-means and their intervals on rails of one scale, as wide as RAIL."""
    low = min(ends[0] for _, ends in measured)
    width = max(max(ends[1] for _, ends in measured) - low, 1e-6)

    def place(value: float) -> float:
        return round(8 + (RAIL - 16) * (value - low) / width, 1)

    return [
        {
            "gmean": f"{gmean:.3f}",
            "low": f"{start:.3f}",
            "high": f"{end:.3f}",
            "x": place(start),
            "width": round(place(end) - place(start), 1),
            "at": place(gmean),
        }
        for gmean, (start, end) in measured
    ]


def _tags(result: RemedyResult, found: Advice) -> list[str]:
    tags = {found.taken: "take this", advice.COPIES: "control", advice.NOTHING: "baseline"}
    return [tag for name, tag in tags.items() if name == result.name][:1]


# --- photos -----------------------------------------------------------------------------------


def places_to_look(
    errors: ErrorCounts | None, rare: str, audit: Audit | None
) -> list[tuple[str, str]]:
    """Say what to look at next, each with the section of the page where it is."""
    looks = []
    if errors and errors.missed:
        missed = f"{len(errors.missed)} of {errors.rare} images of {shorten(rare, 40)!r} are missed"
        looks.append((f"{missed}: look at them first.", "photos"))
    if errors and errors.alarmed:
        alarms = f"{len(errors.alarmed)} others are taken for {shorten(rare, 40)!r}"
        looks.append((f"{alarms}: is their label right?", "photos"))
    if audit and audit.findings:
        looks.append((f"Audit of {audit_headline(audit)}.", "data"))
    return looks


def error_strips(
    errors: ErrorCounts,
    rare: str,
    show: Callable[[Sequence[ErrorImage]], Iterable[InlineImage]],
) -> list[ErrorStrip]:
    """Return a strip of the images that are missed, and one of those that are falsely alarmed.

    `show` makes pictures of at most MAX_PHOTOS of them.
    """
    kinds = (
        ("Missed", errors.missed, f"{len(errors.missed)} of {errors.rare} {shorten(rare, 40)}"),
        ("False alarms", errors.alarmed, f"{len(errors.alarmed)} of {errors.others}"),
    )
    return [
        ErrorStrip(title, note, tuple(show(some[:MAX_PHOTOS])), len(some))
        for title, some, note in kinds
        if some
    ]


def error_lines(name: str, image: ErrorImage) -> tuple[str, str]:
    """Return what stands below a photo: its file name and its score."""
    return shorten(Path(name).name, 40), f"score {image.score:.2f}"


def _photos(table: Manifest, folder: Path, some: Sequence[ErrorImage]) -> list[InlineImage]:
    """Show the middle squares of photos."""
    return [_photo(image, table, folder) for image in some]


def _photo(image: ErrorImage, table: Manifest, folder: Path) -> InlineImage:
    """Show the middle square of a photo, its file name, and its score."""
    sample = next(sample for sample in table.samples if sample.path == image.id)
    pixels = images.to_pixels(reduced_picture(folder, gallery.SIDE, sample))
    lines = error_lines(sample.path, image)
    alt = f"{sample.label}: {', '.join(lines)}"
    return gallery.inline_middle(pixels, alt, lines)
