"""`toolkit compare`, and `toolkit.compare`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.errors import InputError
from toolkit.evaluation.comparison import Comparison, compare_results, look_at_primary
from toolkit.evaluation.matching import match_results
from toolkit.evaluation.results import METRICS_FILE, RunResult, read_result
from toolkit.io import files
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.columns import USUAL, Names, ToldColumns, as_names
from toolkit.metrics.params import MARGIN
from toolkit.metrics.predictions import Predictions
from toolkit.reporting.comparison import write_comparison

Report = Predictions | Path | str
Reports = Path | str | Sequence[Path | str | RunResult] | Mapping[str, Report | Sequence[Report]]


def compare(
    reports: Reports = ("reports/runs",),
    *,
    baseline: str | None = None,
    control: str | None = None,
    positive: str | None = None,
    actual: Names = None,
    predicted: Names = None,
    id: Names = None,  # noqa: A002 - as the option is called
    logits: bool = False,
    resamples: int = 2000,
    seed: int = 0,
    primary: tuple[str, str, str] | None = None,
    margin: float = MARGIN,
    looks: Sequence[int] = (),
    published: Sequence[str] | None = None,
    output: Path | str | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Comparison:
    """Set arms against a baseline, with intervals and corrected p-values.

    `reports` are a folder or folders that `evaluate` wrote, folders that hold such, or CSV files of
    predictions; "NAME=PATH" names the arm. A mapping gives each arm its predictions, or one entry a
    seed: `{"original": [p0, p1, p2], "augmented": [q0, q1, q2]}`. `baseline` is the first arm
    unless it is named; with `control` the other arms are set against that as well. `positive` is
    the class of precision and recall in predictions. `actual`, `predicted` and `id` name the
    columns of other tools' tables, several names if the tables differ; without them they are found
    by their usual names, and `say` is told what was understood. `logits` says that scores which are
    no probabilities are logits. The intervals take `resamples` of a bootstrap and its `seed`.
    `primary` is recipe, arm and against of the one contrast that is tested without correction, by
    default the first arm against the baseline with the first recipe. G-means that differ by less
    than `margin` are practically equal. `looks` are the numbers of seeds at which the primary
    contrast is looked at, planned before, if more than once. `published` names the arms made in
    the published way, for the leaderboard. `output` is a summary.json, beside which curves and
    pictures are written. Raises InputError for results on different test images.
    """
    files.check_output(output, file=True, unlike=[".csv"])
    columns = comparable_columns(actual, predicted, id, logits=logits, positive=positive)
    results, matched = match_results(_results(reports, columns, say))
    if not results:
        raise InputError("there is nothing to compare: give predictions or folders of `evaluate`")
    for sentence in matched:
        say(sentence)
    compared = compare_results(
        results,
        baseline or results[0].arm,
        control,
        resamples=resamples,
        seed=seed,
        primary=primary,
        margin=margin,
        published=published,
    )
    compared = look_at_primary(compared, looks)
    if output:
        write_comparison(Path(output), compared, results)
    return compared


def comparable_columns(
    actual: Names, predicted: Names, ident: Names, *, logits: bool, positive: str | None
) -> ToldColumns:
    """Return what is said of several tables: each has one of the named columns, or ours."""
    told = {"actual": actual, "predicted": predicted, "id": ident}
    names = {role: (*as_names(of), role) if of else () for role, of in told.items()}
    return ToldColumns(**names, logits=logits, positive=positive)


def _results(
    reports: Reports, columns: ToldColumns, say: Callable[[str], object]
) -> list[RunResult]:
    if isinstance(reports, Path | str):
        return read_results([reports], columns, say)
    if not isinstance(reports, Mapping):
        return read_results(reports, columns, say)
    several = {
        arm: [of] if isinstance(of, Predictions | Path | str) else of for arm, of in reports.items()
    }
    return [
        _result(one, columns, arm, seed, say)
        for arm, of in several.items()
        for seed, one in enumerate(of)
    ]


def _result(
    report: Report, columns: ToldColumns, arm: str, seed: int, say: Callable[[str], object]
) -> RunResult:
    if isinstance(report, Predictions):
        metrics = compute_metrics(report, columns.positive)
        return RunResult(arm, "predictions", seed, metrics, report, columns.positive)
    return replace(read_result(Path(report), columns, say=say), arm=arm, seed=seed)


def read_results(
    reports: Sequence[Path | str | RunResult],
    columns: ToldColumns = USUAL,
    say: Callable[[str], object] = lambda _: None,
) -> list[RunResult]:
    """Read evaluations: folders, folders of folders, CSV files, or NAME=PATH.

    A repeated name adds a seed. `columns` are told of other tools' tables, and `say` is told what
    was understood. Raises InputError that names the file.
    """
    results, seeds = list[RunResult](), Counter[str]()
    for report in reports:
        if isinstance(report, RunResult):
            results.append(report)
            continue
        text = str(report)
        name, separator, path = text.partition("=")
        if separator and not Path(text).exists():
            results.append(_result(Path(path), columns, name, seeds[name], say))
            seeds[name] += 1
        else:
            places = evaluation_folders(Path(text))
            results += [read_result(place, columns, say=say) for place in places]
    return results


def evaluation_folders(place: Path) -> list[Path]:
    """Return the evaluations that a path stands for: itself, or those inside it."""
    if not place.exists():
        remedy = "name CSV files of predictions, or what `toolkit evaluate` or `dvc repro` wrote"
        raise files.missing(place, "evaluation", remedy)
    if not place.is_dir() or (place / METRICS_FILE).is_file():
        return [place]
    inside = [path.parent for at in ("*", "*/*") for path in place.glob(f"{at}/{METRICS_FILE}")]
    if not inside:
        raise InputError(f"{place}: holds no evaluation; write one with `toolkit evaluate`")
    return sorted(inside)
