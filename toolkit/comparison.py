"""Results of arms, recipes and seeds -> the table that sets each arm against the baseline.

Differences are those of the means over seeds: point estimates, without an interval.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.errors import InputError
from toolkit.results import Result

COMPARED = ("accuracy", "gmean", "recall", "balanced_accuracy")
"""What is compared; `recall` only where all results name the same positive class."""
SHOWN = COMPARED[:3]
"""What stands in the printed table."""


@dataclass(frozen=True)
class Row:
    """One arm with one recipe: each metric's values in the order of `seeds`.

    `differences` to the baseline arm with the same recipe are means over `paired`, the seeds that
    both have; with no seed in common, differences of the means. The baseline has none.
    """

    recipe: str
    arm: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    differences: Mapping[str, float]
    paired: tuple[int, ...]

    def mean(self, metric: str) -> float:
        """The mean over the seeds."""
        return _mean(self.values[metric])


@dataclass(frozen=True)
class Comparison:
    """Rows in the order of the results, the baseline first within each recipe.

    `metrics` are those of COMPARED that every result has, `test` the test images of each class.
    """

    baseline: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    test: Mapping[str, int]
    positive: str | None = None

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes, each once."""
        return tuple(dict.fromkeys(row.recipe for row in self.rows))

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms, each once."""
        return tuple(dict.fromkeys(row.arm for row in self.rows))


# --- comparing --------------------------------------------------------------------------------


def compare(results: Sequence[Result], baseline: str = "original") -> Comparison:
    """Set every arm against `baseline`, recipe by recipe.

    Raises InputError where a recipe lacks the baseline, a run is given twice, or two results are
    not on the same test images.
    """
    if not results:
        raise InputError("there are no results to compare; run `toolkit evaluate` first")
    for key, count in Counter(result.key for result in results).items():
        if count > 1:
            raise InputError(f"the result {key} is given {count} times")
    for result in results[1:]:
        _check_same_images(results[0], result)
    first = results[0].predictions
    positives = {result.positive for result in results}
    positive = results[0].positive if len(positives) == 1 else None
    metrics = tuple(
        name
        for name in COMPARED
        if all(name in result.metrics for result in results) and (name != "recall" or positive)
    )
    rows = tuple(
        row
        for recipe in dict.fromkeys(result.recipe for result in results)
        for row in _rows([r for r in results if r.recipe == recipe], baseline, metrics)
    )
    test = {name: first.actual.count(name) for name in first.classes}
    return Comparison(baseline, metrics, rows, test, positive)


def _check_same_images(one: Result, other: Result) -> None:
    left, right = (
        dict(zip(r.predictions.ids, r.predictions.actual, strict=True)) for r in (one, other)
    )
    differing = [i for i in {**left, **right} if left.get(i) != right.get(i)]
    if differing:
        raise InputError(
            f"{one.key} and {other.key} are not on the same test images: {len(left)} and "
            f"{len(right)} images, {len(differing)} differ in id or actual class, such as id "
            f"{differing[0][:80]!r}; evaluate both on one test split"
        )


def _rows(results: list[Result], baseline: str, metrics: tuple[str, ...]) -> Iterable[Row]:
    """The rows of one recipe."""
    arms = list(dict.fromkeys(result.arm for result in results))
    if baseline not in arms:
        raise InputError(
            f"recipe {results[0].recipe!r} has no result of the baseline {baseline!r} "
            f"to compare with; its arms are {arms}; name one of them with --baseline"
        )
    found = {arm: {r.seed: r.metrics for r in results if r.arm == arm} for arm in arms}
    for arm in sorted(arms, key=lambda name: name != baseline):
        seeds = tuple(sorted(found[arm]))
        paired = tuple(seed for seed in seeds if seed in found[baseline])
        values = {m: tuple(found[arm][seed][m] for seed in seeds) for m in metrics}
        differences = {
            m: _mean(found[arm][seed][m] for seed in paired or seeds)
            - _mean(found[baseline][seed][m] for seed in paired or found[baseline])
            for m in metrics
            if arm != baseline
        }
        yield Row(results[0].recipe, arm, seeds, values, differences, paired)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)


# --- the comparison as numbers, and as text ---------------------------------------------------

Summary = dict[str, dict[str, dict[str, float]]]


def summary(comparison: Comparison) -> Summary:
    """Recipe -> arm -> scalars, for summary.json: DVC's tables leave lists out.

    With one seed there is no range, so no `_min` and `_max`; the baseline has no `_difference`.
    """
    nested: Summary = {recipe: {} for recipe in comparison.recipes}
    for row in comparison.rows:
        nested[row.recipe][row.arm] = {"seeds": len(row.seeds)} | {
            name: value for metric in comparison.metrics for name, value in _scalars(row, metric)
        }
    return nested


def _scalars(row: Row, metric: str) -> Iterable[tuple[str, float]]:
    yield metric, row.mean(metric)
    if len(row.seeds) > 1:
        yield f"{metric}_min", min(row.values[metric])
        yield f"{metric}_max", max(row.values[metric])
    if row.differences:
        yield f"{metric}_difference", row.differences[metric]


def titles(comparison: Comparison) -> dict[str, str]:
    """The compared metrics' names for people."""
    named = {
        "accuracy": "accuracy",
        "gmean": "G-mean",
        "recall": f"recall of {comparison.positive}",
        "balanced_accuracy": "balanced accuracy",
    }
    return {metric: named[metric] for metric in comparison.metrics}


def table(comparison: Comparison) -> list[list[str]]:
    """The comparison as rows of text, a header first: means, (min to max), differences."""
    shown = [metric for metric in SHOWN if metric in comparison.metrics]
    names = titles(comparison)
    header = ["recipe", "arm", "seeds"]
    for metric in shown:
        header += [names[metric], "difference"]
    return [header, *(_cells(row, shown) for row in comparison.rows)]


def _cells(row: Row, shown: Sequence[str]) -> list[str]:
    cells = [row.recipe, row.arm, str(len(row.seeds))]
    for metric in shown:
        values, difference = row.values[metric], row.differences.get(metric)
        spread = f" ({min(values):.4f} to {max(values):.4f})" if len(values) > 1 else ""
        change = "baseline" if difference is None else f"{difference:+z.4f}"
        cells += [f"{row.mean(metric):.4f}{spread}", change]
    return cells


def notes(comparison: Comparison) -> list[str]:
    """What the table does not say: sentences to print below it."""
    rarest = min(comparison.test, key=lambda name: comparison.test[name])
    images = comparison.test[rarest]
    counts = sorted({len(row.seeds) for row in comparison.rows})
    seeds = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
    said = [
        f"{seeds} {'seed' if counts == [1] else 'seeds'}: differences are point estimates on "
        f"{sum(comparison.test.values())} test images, without an interval: no statement about "
        "luck.",
        f"{rarest!r} has {images} test images: each of them is {1 / images:.4f} of its recall.",
    ]
    others = [row for row in comparison.rows if row.differences]
    if any(not row.paired for row in others):
        said.append("Where an arm shares no seed with the baseline, the means are compared.")
    elif any(row.paired != row.seeds for row in others):
        said.append("Differences are over the seeds that an arm shares with the baseline.")
    return said


def headline(comparison: Comparison) -> list[str]:
    """The result in one sentence for each arm that is not the baseline."""
    arms = [arm for arm in comparison.arms if arm != comparison.baseline]
    return [_sentence(comparison, arm) for arm in arms]


def _sentence(comparison: Comparison, arm: str) -> str:
    rows = [row for row in comparison.rows if row.arm == arm]
    changes = [row.differences["gmean"] for row in rows]
    beside = f"{arm} against {comparison.baseline}"
    if len(rows) == 1:
        after, change = rows[0].mean("gmean"), changes[0]
        accuracy = rows[0].differences["accuracy"]
        scores = f"G-mean {after:.4f} ({change:+z.4f}), accuracy {accuracy:+z.4f}"
        return f"{beside}, {rows[0].recipe}: {scores}."
    higher = sum(change > 0 for change in changes)
    spread = f"{min(changes):+z.4f} to {max(changes):+z.4f}"
    return f"{beside}: higher G-mean with {higher} of {len(rows)} recipes ({spread})."


def markdown(comparison: Comparison) -> str:
    """The table and its notes as GitHub Markdown."""
    header, *body = [[_escape(cell) for cell in row] for row in table(comparison)]
    rule = ["---"] * 2 + ["---:"] * (len(header) - 2)
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *body)]
    return "\n".join([*lines, "", *(_escape(note) for note in notes(comparison)), ""])


def _escape(text: str) -> str:
    """Keep a name from ending a cell or becoming HTML."""
    kept = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\|`*[]" else c for c in kept)
