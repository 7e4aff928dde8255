"""`toolkit evaluate`, and `toolkit.evaluate`."""

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from toolkit.datasets.local import open_images
from toolkit.datasets.params import ReadParams
from toolkit.errors import InputError
from toolkit.evaluation.evaluate import Evaluation, RunOutputs, evaluate_run
from toolkit.evaluation.results import METRICS_FILE, RunKey
from toolkit.io import files, parallel
from toolkit.io.closure import trace_imports
from toolkit.io.manifest import is_file_name
from toolkit.io.schema import build
from toolkit.metrics import mistakes, thresholds
from toolkit.metrics.columns import ToldColumns, as_names
from toolkit.metrics.decisions import apply_decisions
from toolkit.metrics.params import EvaluateParams, ThresholdRule
from toolkit.metrics.predictions import Predictions, read_predictions
from toolkit.pipeline import paths
from toolkit.progress import Track, silent
from toolkit.reporting.evaluation import read_evaluation, write_evaluation
from toolkit.reporting.plots.style import import_matplotlib

if TYPE_CHECKING:  # predictions are measured without torch
    from toolkit.training.dataset import LabeledFolder
    from toolkit.training.runs import Run

Source: TypeAlias = "Predictions | Run | Path | str"


def evaluate(
    source: Source,
    *,
    output: Path | str | None = None,
    test: Path | str | None = None,
    valid_predictions: Predictions | Path | str | None = None,
    positive: str | None = None,
    threshold: str | ThresholdRule = "gmean",
    beta: float = 2.0,
    resamples: int = 2000,
    seed: int = 0,
    actual: str | None = None,
    predicted: str | None = None,
    id: str | None = None,  # noqa: A002 - as the option is called
    logits: bool = False,
    arm: str | None = None,
    recipe: str | None = None,
    run_seed: int | None = None,
    features: Path | str | None = None,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Evaluation:
    """Measure predictions: metrics with 95% intervals.

    `source` is what `predict` gave, a CSV of any tool's predictions, or a run, which is then tested
    on the images in `test`, read as the keys of `fetch` in `reading` say. The threshold of the
    `positive` class and the temperature are chosen on what the run made of its validation images;
    for predictions, on `valid_predictions`. The rule `threshold` is "gmean", "cost:RATIO" or
    "recall:MINIMUM". `beta` is that of F-beta. The intervals take `resamples` and `seed`. Of a
    table of another tool, `actual`, `predicted` and `id` name the columns, which else are found by
    their usual names, and `say` is told what was understood; `logits` says that scores which are no
    probabilities are logits. `arm`, `recipe` and `run_seed` are the names under which predictions
    are compared; else the file's name, "predictions" and 0. `features` is a folder that `embed`
    wrote, from which a frozen network's are taken; others are computed, and kept in .toolkit.
    `output` is a folder to write: predictions, metrics, confusion matrix and, of a run, curves
    and mistakes. Raises InputError for images or predictions that do not fit together.
    """
    files.check_replaceable(output, METRICS_FILE)
    settings = _settings(positive, threshold, beta, resamples, seed)
    run = _run_of(source)
    columns = ToldColumns(
        as_names(actual), as_names(predicted), as_names(id), logits=logits, positive=positive
    )
    named = {"arm": arm, "recipe": recipe, "seed": run_seed}
    named = {key: value for key, value in named.items() if value is not None}
    if run is None:
        if test is not None:
            raise InputError("predictions are of test already: give valid_predictions, no images")
        if reading or features:
            options = ", ".join(dict(reading or {"features": features}))
            raise InputError(f"{options}: for the images of a run, not for a table")
        read = functools.partial(_read, columns=columns, say=say)
        inputs = _of_predictions(source, valid_predictions, named, read)
    else:
        if test is None or valid_predictions is not None:
            raise InputError("a run is tested on images: give test, and no predictions")
        if named or columns != ToldColumns(positive=positive):
            raise InputError("a run has a name and no columns: these options are for predictions")
        images, tables = _open_test(test, features, reading, track, say)
        explain = output is not None
        tested = _of_runs([run], images, settings, tables, explain=explain, track=track)
        (inputs,) = tested
    if output is None:
        return evaluate_run(inputs, settings)
    return write_evaluation(Path(output), inputs, settings)


def evaluate_runs(
    place: Path,
    *,
    output: Path,
    test: Path | None,
    only: Collection[RunKey] | None = None,
    positive: str | None = None,
    threshold: str | ThresholdRule = "gmean",
    beta: float = 2.0,
    resamples: int = 2000,
    seed: int = 0,
    features: Path | str | None = None,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
    **of_predictions: object,
) -> dict[str, Evaluation]:
    """Measure the runs in a folder on the images in `test`, which are decoded once.

    They lie there as <seed> or as <arm>-<recipe>/<seed>, and so do their evaluations in `output`;
    all appear together or not at all. With `only` others are passed over. An evaluation that the
    same run, images and code gave before is taken from .toolkit. The other arguments are those of
    `evaluate`; there are none `of_predictions`. Raises InputError as `evaluate` does, and for a
    folder without runs.
    """
    from toolkit.training import runs

    settings = _settings(positive, threshold, beta, resamples, seed)
    if test is None or of_predictions:
        raise InputError("runs are tested on images: give test, and no options for predictions")
    places = [run for run in runs.find_runs(place) if run != place]
    if only is not None:
        wanted = {place / key.place for key in only}
        places = [run for run in places if run in wanted]
        if not places:
            raise InputError(f"{place}: has no run that params.yaml names; train one first")
    names = {run: run.relative_to(place).as_posix() for run in places}
    several = f"{'*/' * len(places[0].relative_to(place).parts)}{METRICS_FILE}"
    files.check_replaceable(output, several)
    images, tables = _open_test(test, features, reading, track, say)
    kept = {run: _kept_place(run, images.sha256, settings) for run in places}
    known = {run: of for run in places if (of := _read_kept(kept[run]))}
    todo = [run for run in places if run not in known]
    tested = list(_of_runs(todo, images, settings, tables, explain=True, track=track))
    with files.new_folder(output, several) as building:
        import_matplotlib()
        write = functools.partial(_write, building, settings)
        named = [(names[run], kept[run], of) for run, of in zip(todo, tested, strict=True)]
        evaluations = dict(parallel.ordered_map(write, named, parallel.cores()))
        for run, evaluation in known.items():
            shutil.copytree(kept[run], building / names[run])
            evaluations[names[run]] = evaluation
    if known:
        say(f"{output}: {len(known)} of {len(places)} are as they were evaluated before")
    return {names[run]: evaluations[names[run]] for run in places}


def _key_of(run: "Run") -> RunKey:
    return RunKey(run.arm, run.recipe, run.seed)


def _kept_place(run: Path, images: str, settings: EvaluateParams) -> Path:
    """Return where the evaluation of a run on images with this hash is kept."""
    from toolkit.training import runs

    closure = trace_imports(__name__)
    decides = {
        "run": files.sha256(run / runs.SIDE),
        "images": images,
        "settings": settings.model_dump(mode="json"),
        "code": closure.code,
        "versions": closure.versions,
    }
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    return paths.KEPT_EVALUATIONS / digest[:32]


def _read_kept(kept: Path) -> Evaluation | None:
    """Return the evaluation that is kept there; None if there is none, or a damaged one."""
    try:
        return read_evaluation(kept) if kept.is_dir() else None
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return None


def _write(
    folder: Path, settings: EvaluateParams, named: tuple[str, Path, RunOutputs]
) -> tuple[str, Evaluation]:
    name, kept, inputs = named
    evaluation = write_evaluation(folder / name, inputs, settings)
    with files.new_folder(kept, METRICS_FILE) as building:
        shutil.copytree(folder / name, building, dirs_exist_ok=True)
    return name, evaluation


def _settings(
    positive: str | None, threshold: str | ThresholdRule, beta: float, resamples: int, seed: int
) -> EvaluateParams:
    rule = thresholds.parse_rule(threshold) if isinstance(threshold, str) else threshold
    params = {
        "positive": positive,
        "threshold": rule,
        "beta": beta,
        "resamples": resamples,
        "seed": seed,
    }
    return build(EvaluateParams, params, "")


def _run_of(source: Source) -> Path | None:
    """Return the folder of a run; None for predictions."""
    if isinstance(source, Predictions):
        return None
    if not isinstance(source, str | Path):
        return source.folder
    place = Path(source)
    if not place.exists():
        remedy = "name a run that `toolkit train` wrote, or a CSV of predictions"
        raise files.missing(place, "run and no such file", remedy)
    return place if place.is_dir() else None


def _open_test(
    test: Path | str,
    features: Path | str | None,
    reading: ReadParams | Mapping[str, Any] | None,
    track: Track,
    say: Callable[[str], object],
) -> "tuple[LabeledFolder, list[Path]]":
    """Return the test images, read once for all runs, and the tables of features."""
    from toolkit.training import dataset
    from toolkit.training.pretrained.features import find_tables

    how, tables = build(ReadParams, reading, "reading"), find_tables(features)
    place = open_images(Path(test), track=track, say=say, links=how.follow_links).folder
    return dataset.open_folder(place, track, say, how), tables


def _of_runs(
    places: Sequence[Path],
    images: "LabeledFolder",
    params: EvaluateParams,
    tables: Sequence[Path],
    *,
    explain: bool,
    track: Track,
) -> Iterator[RunOutputs]:
    from toolkit.training import inference, runs

    applied_runs = inference.apply_runs(
        places, images, track, features=tables, kept=paths.KEPT_FEATURES
    )
    for place, applied in zip(places, applied_runs, strict=True):
        about = runs.read_run(place)
        predictions = applied.predictions
        examples = mistakes.choose_examples(predictions, params.positive) if explain else ()
        yield RunOutputs(
            key=_key_of(about),
            test=predictions,
            valid=None if about.held_out else runs.read_valid(about),
            beside=applied.beside and apply_decisions(applied.beside, about.decisions),
            trained=about.counts,
            history=place / runs.HISTORY,
            network_mb=(place / runs.WEIGHTS).stat().st_size / 1e6,
            learning=about.learning,
            conditions=about.conditions,
            unfinished="" if about.complete else _progress(about),
            explained=inference.explain_examples(applied, examples),
        )


def _progress(run: "Run") -> str:
    if run.held_out:
        return "not all epochs of all its networks, one for each fold and one for all images"
    return f"{len(run.history)} of {run.settings.epochs} epochs"


def _of_predictions(
    source: Source,
    valid: Predictions | Path | str | None,
    named: Mapping[str, Any],
    read: Callable[[object], Predictions],
) -> RunOutputs:
    for key in ("arm", "recipe"):
        if key in named and not is_file_name(named[key]):
            raise InputError(f"--{key} must be a file's name, got {named[key][:80]!r}")
    name = "predictions" if isinstance(source, Predictions) else Path(str(source)).stem
    return RunOutputs(
        key=replace(RunKey(name, "predictions", 0), **named),
        test=read(source),
        valid=read(valid) if valid else None,
    )


def _read(source: object, columns: ToldColumns, say: Callable[[str], object]) -> Predictions:
    if isinstance(source, Predictions):
        return source
    return read_predictions(Path(str(source)), columns, say)
