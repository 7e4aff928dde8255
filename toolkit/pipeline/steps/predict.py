"""`toolkit predict`, and `toolkit.predict`."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.datasets import archives, folders
from toolkit.datasets.hubs import PICTURES
from toolkit.datasets.local import open_images
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError
from toolkit.io import files, inside, manifest
from toolkit.io.csv import csv_text
from toolkit.io.images import NamedImage
from toolkit.io.samples import sample_bytes
from toolkit.io.schema import build
from toolkit.io.text import describe_rejected, shorten
from toolkit.metrics.calibration import fit_temperature
from toolkit.metrics.decisions import Decisions, apply_decisions, at_calibrated, choose_decisions
from toolkit.metrics.params import EvaluateParams, GmeanRule, ThresholdRule
from toolkit.metrics.predictions import Predictions, write_predictions
from toolkit.metrics.thresholds import parse_rule
from toolkit.progress import Track, ignore, silent
from toolkit.reporting.predictions import Photo, prediction_page
from toolkit.training import inference, runs
from toolkit.training.runs import Run

SORTED = "predictions.csv"
"""In the folder of sorted images: what was predicted, as in the CSV file."""
MAX_NAME = 255
"""Bytes of a file's name."""


def predict(
    run: Run | Path | str,
    images: Path | str | Sequence[Path | str],
    *,
    output: Path | str | None = None,
    positive: str | None = None,
    threshold: str | float | ThresholdRule = "gmean",
    raw: bool = False,
    sort_into: Path | str | None = None,
    html: Path | str | None = None,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Predictions:
    """Predict the class of images of any size, with a calibrated probability per class.

    `run` is what `train` returned, or its folder. `images` are image files, or a folder, read as
    the keys of the section `fetch` in `reading` say: where it has classes, the predictions can be
    evaluated; else `actual` is empty. The ids are the paths, or those of the folder's manifest.
    `problems` names the files that cannot be read.

    The temperature and, with two classes, the threshold are the run's, chosen on its validation
    images: the latter for the class `positive`, by default the one with fewer original training
    images; `threshold` is a rule ("gmean", "cost:RATIO", "recall:MINIMUM") or a probability. `raw`
    takes neither: the network's own scores, of which the highest decides. `output` is a CSV file
    to write, `sort_into` a new folder with a copy of each image in a folder of its class, `html` a
    page that shows the least certain images first. Raises InputError if a class folder is none of
    the run's classes, if no file can be read, and for an output that is named like an image.
    """
    files.check_output(output, file=True, unlike=PICTURES)
    files.check_output(html, "--html", file=True, unlike=PICTURES)
    files.check_replaceable(sort_into, "", "--sort-into")
    places = [images] if isinstance(images, str | Path) else images
    settings = build(ReadParams, reading, "reading")
    several = [opened_place(place, settings, track, say) for place in places]
    about = run if isinstance(run, Run) else runs.read_run(Path(run))
    decisions = Decisions() if raw else read_decisions(about, positive, threshold)
    folder = about.located()
    if len(several) == 1 and (several[0] / manifest.TABLE).is_file():
        predictions = inference.predict_folder(folder, several[0], track, say, settings)
    else:
        predictions = _of_files(about, several, settings, track, say)
    if not raw:
        predictions = apply_decisions(predictions, decisions)
        say(describe_decisions(decisions, threshold))
    if output:
        write_predictions(Path(output), predictions)
        _list_problems(left_out_path(Path(output)), predictions)
    if sort_into or html:
        photos = _photos(several, predictions)
        if sort_into:
            _sort(Path(sort_into), predictions, photos)
        if html:
            page = prediction_page(predictions, decisions, photos, Path(folder).name)
            files.write_file(Path(html), page)
    return predictions


def read_decisions(
    run: Run, positive: str | None = None, threshold: str | float | ThresholdRule = "gmean"
) -> Decisions:
    """Return the temperature and threshold for a run, as `predict` takes them.

    Raises InputError for a threshold that is neither a rule nor a probability, a class that is not
    one of two, and for one where there is no single class with fewer images.
    """
    valid, positive = runs.read_valid(run), positive or run.rarest
    if len(run.classes) != 2 or positive is None:
        if threshold in ("gmean", GmeanRule(rule="gmean")):  # no other one was asked for
            return Decisions(fit_temperature(valid))
        kind = "two classes" if len(run.classes) != 2 else "a positive class: name it by --positive"
        raise InputError(f"a threshold needs {kind}; the run has {', '.join(run.classes)}")
    number = _probability(threshold)
    rule = parse_rule(threshold) if isinstance(threshold, str) and number is None else threshold
    settings = {"threshold": rule} if number is None else {}
    decisions = choose_decisions(valid, EvaluateParams(positive=positive, **settings))
    return decisions if number is None else at_calibrated(decisions, number)


def _probability(threshold: str | float | ThresholdRule) -> float | None:
    """Return a threshold given as a number; None for a rule. Raises InputError beyond 0..1."""
    try:
        number = float(threshold)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if not 0 <= number <= 1:
        raise InputError(f"--threshold must be a probability from 0 to 1, got {threshold}")
    return number


def describe_decisions(
    decisions: Decisions, threshold: str | float | ThresholdRule = "gmean"
) -> str:
    """Return in a sentence how scores become classes."""
    temperature = f"temperature {decisions.temperature:.3g}"
    if decisions.positive is None:
        return f"the likeliest class is predicted ({temperature}, fitted on valid)"
    chosen = "as given" if _probability(threshold) is not None else "chosen on valid"
    least = f"{decisions.calibrated_threshold:.3g} or more"
    name = shorten(decisions.positive, 40)
    return f"{name} is predicted from a probability of {least} ({chosen}; {temperature})"


def prediction_summary(predictions: Predictions) -> dict[str, Any]:
    """Return what `predict --json` prints: each image with its class and probabilities.

    `actual` is null where it is not known; a file that cannot be read has a `problem` alone.
    """
    scores = predictions.required_scores("JSON")
    images = [
        {
            "file": ident,
            "actual": predictions.actual[row] if predictions.actual else None,
            "predicted": predictions.predicted[row],
            "scores": dict(zip(predictions.classes, scores[row].tolist(), strict=True)),
        }
        for row, ident in enumerate(predictions.ids)
    ]
    failed = [{"file": path, "problem": why} for path, why in predictions.problems.items()]
    return {"classes": [*predictions.classes], "images": [*images, *failed]}


# --- what is written --------------------------------------------------------------------------


def _photos(places: Sequence[Path], predictions: Predictions) -> list[Photo]:
    """Return the predicted files, in the order of the predictions."""
    if len(places) == 1 and (places[0] / manifest.TABLE).is_file():
        table = manifest.read_manifest(places[0]).by_id
        samples = [table[ident] for ident in predictions.ids]
        return [Photo(each.path, partial(sample_bytes, places[0], each)) for each in samples]
    found = {str(photo.path): photo for place in places for photo in image_files(place, ignore)}
    return [Photo(ident, found[ident].content) for ident in predictions.ids]


def _sort(place: Path, predictions: Predictions, photos: Sequence[Photo]) -> None:
    """Copy each file to a folder of its class. What is there stays: a person may have sorted it."""
    with files.new_folder(place, marker="") as building:
        for label in predictions.classes:
            inside.make_folder(building, label)
        pairs = zip(predictions.predicted, (Path(photo.name).name for photo in photos), strict=True)
        for path, photo in zip(unique_paths(pairs), photos, strict=True):
            inside.write_inside(building, path, photo.content(), replace=False)
        write_predictions(building / SORTED, predictions)


def unique_paths(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield <folder>/<name> for each pair; a name that is taken there gets a number."""
    taken, numbers = set[str](), Counter[str]()
    for folder, name in pairs:
        path = wanted = f"{folder}/{name}"
        while path in taken:
            numbers[wanted] += 1
            end = f"-{numbers[wanted] + 1}{Path(name).suffix}"
            stem = Path(name).stem.encode()[: MAX_NAME - len(end.encode())]
            path = f"{folder}/{stem.decode(errors='ignore')}{end}"
        taken.add(path)
        yield path


def opened_place(
    place: Path | str, settings: ReadParams, track: Track, say: Callable[[str], object]
) -> Path:
    """Return an image file as it is, and whatever else as a folder."""
    if Path(place).is_file() and not archives.is_archive(Path(place)):
        return Path(place)
    return open_images(place, track=track, say=say, links=settings.follow_links).folder


def left_out_path(output: Path) -> Path:
    """Return where the files that could not be read are listed."""
    return output.with_name(f"{output.stem}-left-out.csv")


def _list_problems(path: Path, predictions: Predictions) -> None:
    """Write path and reason of each file that could not be read, if there are any."""
    if predictions.problems:
        files.write_file(path, csv_text(("path", "reason"), predictions.problems.items()))
    else:
        path.unlink(missing_ok=True)


def _of_files(
    run: Run,
    places: Sequence[Path],
    settings: ReadParams,
    track: Track,
    say: Callable[[str], object],
) -> Predictions:
    photos = [photo for place in places for photo in image_files(place, say)]
    guesses = inference.predict_files(run.located(), photos, track)
    read = [guess for guess in guesses if not guess.problem]
    if not read:
        rejected = [{"path": str(guess.path), "reason": guess.problem} for guess in guesses]
        told = describe_rejected(rejected, len(rejected)) if rejected else "no image was given"
        raise InputError(f"nothing to predict: {told}")
    paths = [guess.path for guess in read]
    one_folder = len(places) == 1 and places[0].is_dir()
    return Predictions(
        classes=run.classes,
        ids=tuple(str(guess.path) for guess in read),
        actual=folder_labels(places[0], paths, run.classes, settings, say) if one_folder else (),
        predicted=tuple(guess.predicted for guess in read),
        scores=np.array([guess.scores for guess in read]),
        problems={str(guess.path): guess.problem for guess in guesses if guess.problem},
    )


def folder_labels(
    folder: Path,
    paths: Sequence[Path],
    classes: Sequence[str],
    settings: ReadParams,
    say: Callable[[str], object],
) -> tuple[str, ...]:
    """Return the class of each image of a folder; nothing if they lie in no class folders.

    Folders deep in others may be anything: they are classes if one of them is the run's.
    """
    try:
        reading = folders.read_folder(folder, settings)
    except InputError as error:
        if settings != BY_NAME:
            raise
        say(f"the column actual stays empty: {error}")
        return ()
    found = {str(place.path): place.label for place in reading.places}
    labels = tuple(found.get(path.relative_to(folder).as_posix(), "") for path in paths)
    unknown = sorted(set(labels) - set(classes))
    flat = all(path.parent.parent == folder for path in paths)
    if "" in unknown or (unknown and not flat and not set(labels) & set(classes)):
        return ()
    if unknown:
        message = f"{folder}: the class folders must be among {list(classes)}"
        raise InputError(f"{message}, got {', '.join(unknown)}; rename them, or name the files")
    say(f"{folder}: {reading.said}")
    return labels


def image_files(place: Path, say: Callable[[str], object]) -> list[NamedImage]:
    """Return the file, or the files of a folder without hidden ones and symbolic links."""
    if not place.is_dir():
        return [NamedImage(place)]
    paths = [place / path for path in folders.list_tree(place)[0]]
    if links := [path for path in paths if path.is_symlink()]:
        say(f"{links[0]}: {len(links)} symbolic links, such as this, are not followed")
    return [NamedImage(path, place) for path in paths if not path.is_symlink()]
